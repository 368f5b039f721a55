"""Rules that change all the time: each message is judged by those that are in force."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from ipcbus.broker.settings import Settings
from ipcbus_bridges.actions import HandOver
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.telling import told
from tests.bridges.wires import Wire
from tests.broker.harness import OPERATOR

RELOADS: Final = 1000
UNGUARDED: Final = Settings(guard_pair=0, guard_thread=0, guard_repeats=0)


class Judged(Cluster):
    """Attributes:
    by_rule: ids of what was handed over, and by which rule; "now" has its own.
    """

    def __init__(self, seed: int) -> None:
        self.by_rule: dict[str, set[str]] = {}
        super().__init__("dev", "prod", seed=seed, settings=UNGUARDED)
        self.people("alice@dev", "amy@dev", "bob@prod")

    def watch(self, wire: Wire, action: Any) -> None:
        if isinstance(action, HandOver):
            known = {rule.id: rule for rule in wire.one_way.allows}
            for move in action.moves:
                sender = f"{move.sender}@{wire.link.source}"
                assert move.rule in known, f"{move.rule} is no rule of now"
                assert known[move.rule].sender.matches(move.sender, "dev"), sender
                self.by_rule.setdefault(move.id, set()).add(move.rule)


def rules(number: int) -> Any:
    """Of two that follow each other no rule has the same number; in every second one
    amy may not write."""
    texts = ["nobody -> nobody"] * (number % 7)
    return rules_of("dev", "prod", *texts, "alice -> *" if number % 2 else "* -> *")


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_whatever_is_handed_over_is_carried_by_the_rules_of_now(
    seed: int, show: Any
) -> None:
    """A thousand reloads, each at any moment between two frames."""
    rng = random.Random(f"reloads {seed}")
    town = Judged(seed)
    there, _ = town.bridge("dev", "prod")
    sent: dict[str, list[str]] = {"alice": [], "amy": []}
    for number in range(RELOADS):
        there.reload(rules(number))
        sender = rng.choice(("alice", "amy"))
        if rng.random() < 0.5:
            body = f"{sender} {number}"
            assert town.send(f"{sender}@dev", "bob@prod", body=body) == "accepted"
            sent[sender].append(body)
        for _ in range(rng.choice((0, 1, 2, 5, 20))):
            town.step()
    town.run()
    town.pass_time(3)
    came = read_all(town, "bob@prod")
    back = told(read_all_mail(town, "amy@dev"))
    assert [body for body in came if body.startswith("alice")] == sent["alice"]
    assert len(came) + len(back) == len(sent["alice"]) + len(sent["amy"])
    assert set(back) == {("bounce", "5.7.1")}
    assert in_order([body for body in came if body.startswith("amy")], sent["amy"])
    assert there.state == "running"
    show(f"{RELOADS} reloads: {len(came)} messages crossed, {len(back)} came back")
    town.close()


def read_all_mail(town: Cluster, address: str) -> list[Any]:
    found = []
    while more := town.read(address):
        found += more
    return found


def read_all(town: Cluster, address: str) -> list[str]:
    return texts(read_all_mail(town, address))


def in_order(some: list[str], all_: list[str]) -> bool:
    left = iter(all_)
    return all(body in left for body in some)


def test_the_lead_is_not_lost_by_reloads(show: Any) -> None:
    """One that stands by never takes over because of them."""
    town = Judged(0)
    leader, _ = town.bridge("dev", "prod")
    other = town.link("dev", "prod", leader.rules)
    town.run()
    for number in range(200):
        for wire in (leader, other):
            wire.reload(rules(number))
        town.send("alice@dev", "bob@prod", body=str(number))
        town.run()
        assert (leader.state, other.state) == ("running", "standby")
    assert read_all(town, "bob@prod") == [str(n) for n in range(200)]
    found = town.nets["dev"].call(OPERATOR, "links")
    show(f"200 reloads of two bridges: epoch {found[0]['epoch']} of the link")
    town.close()
