"""What is refused leaves no trace: without it, the other network would be the same.

A random history is lived twice: as it is, and without the messages of which somebody
said no. To whoever lives in the destination the two cannot be told apart.
"""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import closing
from typing import Any, Final, NamedTuple

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import FLAG_ACKED
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of
from tests.broker.harness import OPERATOR, draft

NAMES: Final = ("x", "y", "z")
KINDS: Final = ("inform", "request", "control", "ack")

RULES: Final = (
    ("* <-> * replies=2", "!x -> y"),
    ("x <-> * replies=3", "!* -> z kinds=request"),
    ("* -> * kinds=inform replies=1 max_bytes=20B", "* -> #t.* replies=1"),
    ("* -> y hold_for=1m", "y -> #**", "!z -> * replies"),
    ("*@* <-> *@* transit replies=2", "*@* -> #** transit", "!y -> z priority=9"),
)
GRANTS: Final = ("", "deny z -> *", "allow x -> *\nallow * -> #**", "deny * -> x")

SEEDS: Final = len(RULES) * len(GRANTS)
THINGS: Final = 30

UNGUARDED: Final = Settings(guard_pair=0, guard_thread=0, guard_repeats=0)
"""A loop guard counts what was said also when it was not carried."""


class Step(NamedTuple):
    """One thing that somebody of dev says; or that somebody of prod answers."""

    id: str
    sender: str
    to: str
    fields: dict[str, Any]
    body: str


def history(seed: int) -> list[Step]:
    rng = random.Random(f"history {seed}")
    return [
        Step(
            f"m{n}",
            rng.choice(NAMES),
            rng.choice((*(f"{name}@prod" for name in (*NAMES, "nobody")), "#t.a")),
            {
                "kind": rng.choices(KINDS, (6, 3, 1, 1))[0],
                "priority": rng.choice((4, 4, 9)),
                "flags": rng.choice((0, FLAG_ACKED)),
                "ttl_ms": rng.choice((None, None, 30_000)),
                "thread": rng.choice((None, "t")),
            },
            "x" * rng.choice((1, 21)),
        )
        for n in range(THINGS)
    ]


class Lived(NamedTuple):
    """What is to be seen in prod, and how it was in dev.

    Attributes:
        boxes: by reader and stream, what came, in order.
        answers: what came of the answers to it, and what came back.
        agents: the directory.
        came: ids.
    """

    boxes: dict[tuple[str, str], list[Any]]
    answers: list[tuple[Any, ...]]
    agents: Any
    came: set[str]


def live(seed: int, without: frozenset[str], *, together: bool) -> Lived:
    """`together`: many are on their way at a time, in an order of its own."""
    rules, grant = RULES[seed % len(RULES)], GRANTS[seed // len(RULES)]
    town = Cluster("dev", "prod", seed=len(without), settings=UNGUARDED)
    with closing(town):
        town.people(*(f"{name}@{net}" for net in town.nets for name in NAMES))
        for name in NAMES[1:]:
            town.nets["prod"].call(name.encode(), "join", "**")
        rules_ = rules_of("dev", "prod", *rules, terms=Terms(max_hops=2))
        for pair in (("dev", "prod"), ("prod", "dev")):
            town.link(*pair, rules_)
        town.run()
        town.nets["prod"].call(OPERATOR, "grant", "dev", "in", grant)
        for at, step in enumerate(history(seed)):
            if step.id not in without:
                one = draft(step.id, step.to, **step.fields)
                town.nets["dev"].send(step.sender.encode(), one, body=step.body)
            if not together or at % 10 == 9:
                town.run()
        return seen(town)


def seen(town: Cluster) -> Lived:
    prod = town.nets["prod"]
    boxes: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for name in NAMES:
        for mail in town.read(f"{name}@prod"):
            header = mail.header._replace(digest=b"", accepted_at=0)
            stream = f"{header.sender} {header.to} {header.priority}"
            boxes[name, stream].append((header, mail.text))
    came = [(name, one) for (name, _), box in boxes.items() for one, _ in box]
    for name, header in came:
        drafts = [  # more than any rule allows
            draft(f"{n}{header.id[:-4]}", header.sender, reply_to=header.id)
            for n in range(4)
        ]
        if header.kind != "ack":  # nobody can answer one
            prod.send(name.encode(), *drafts)
    town.run()
    answers = [
        (mail.header.sender, mail.header.reply_to, mail.header.kind)
        for name in NAMES
        for network in town.nets
        for mail in town.read(f"{name}@{network}")
        if network == "prod" or mail.header.sender.endswith("@prod")
        if not mail.header.sender.startswith("ipcbus@")
    ]
    agents = prod.call(OPERATOR, "agents", 0)
    return Lived(dict(boxes), sorted(answers), agents, {one.id for _, one in came})


def refused_of(seed: int, lived: Lived) -> frozenset[str]:
    return frozenset(
        step.id for step in history(seed) if f"{step.id}@dev" not in lived.came
    )


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_without_what_was_refused_the_other_network_is_the_same(
    seed: int, together: bool
) -> None:
    whole = live(seed, frozenset(), together=together)
    refused = refused_of(seed, whole)
    part = live(seed, refused, together=together)
    assert part.came == whole.came
    assert part.boxes == whole.boxes
    assert part.answers == whole.answers
    assert part.agents == whole.agents


def test_these_histories_have_much_of_both() -> None:
    """Or the test above would say little."""
    lives = [live(seed, frozenset(), together=True) for seed in range(SEEDS)]
    came = sum(len(one.came) for one in lives)
    refused = sum(len(refused_of(seed, one)) for seed, one in enumerate(lives))
    answers = [kind for one in lives for *_, kind in one.answers]
    assert came > SEEDS * THINGS // 5
    assert refused > SEEDS * THINGS // 5
    assert {"inform", "bounce"} <= set(answers)
