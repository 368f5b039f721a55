"""The grants of an owner: against a naive reading, and that less is never more.

And names of the other network that are shown: whoever sees one may write to it.
"""

from __future__ import annotations

from contextlib import closing
from fnmatch import fnmatchcase
from itertools import product
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker import grants
from ipcbus.protocol.pieces import pack_map
from ipcbus_bridges.presence import exposed_rows
from ipcbus_bridges.rules import Facts, Rules
from tests.bridges.cluster import Cluster, rules_of
from tests.broker.harness import OPERATOR

NAMES: Final = ["a", "b", "ab", "ba"]
SIDES: Final = ["*", "a", "a*", "*b", "*a*", "AB"]

LINES: Final = st.builds(
    "{} {} -> {}".format,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from([*SIDES, "*@far", "a@*", "*@dev"]),
    st.sampled_from([*SIDES, "*@*", "b@prod", "#**", "#t", "#t.*"]),
)
SENDERS: Final = st.sampled_from([f"{n}@{w}" for n in NAMES for w in ("dev", "far")])
RECIPIENTS: Final = st.sampled_from([*(f"{n}@prod" for n in NAMES), "#t", "#t.u", "#x"])


def decide(lines: list[str], sender: str, to: str) -> bool:
    rules = grants.parse_all(lines, "dev", "prod")
    passes, rule = grants.decide(rules, sender, to)
    assert rule is None or rule.text in lines
    return passes


def naive(lines: list[str], sender: str, to: str) -> bool:
    """Any deny refuses; if there are allows, one must match."""
    allows = [line for line in lines if line.startswith("allow")]
    hit = [line for line in lines if matches(line, sender, to)]
    if any(line.startswith("deny") for line in hit):
        return False
    return not allows or bool(hit)


def matches(line: str, sender: str, to: str) -> bool:
    _, left, _, right = line.split()
    if not glob(left, "dev", sender):
        return False
    if right[0] != "#" or to[0] != "#":
        return right[0] != "#" and to[0] != "#" and glob(right, "prod", to)
    pattern, topic = right[1:].split("."), to[1:].split(".")
    if pattern == ["**"]:
        return True
    return len(pattern) == len(topic) and all(map(fnmatchcase, topic, pattern))


def glob(pattern: str, network: str, name: str) -> bool:
    full = pattern if "@" in pattern else f"{pattern}@{network}"
    return fnmatchcase(name.lower(), full.lower())


@given(st.lists(LINES, max_size=5), SENDERS, RECIPIENTS)
def test_a_grant_decides_as_a_naive_one(lines: list[str], sender: str, to: str) -> None:
    assert decide(lines, sender, to) == naive(lines, sender, to)


@given(st.lists(LINES, max_size=5), LINES, st.integers(0, 5), SENDERS, RECIPIENTS)
def test_one_deny_more_never_lets_more_through(
    lines: list[str], more: str, place: int, sender: str, to: str
) -> None:
    deny = more.replace("allow", "deny")
    if decide([*lines[:place], deny, *lines[place:]], sender, to):
        assert decide(lines, sender, to)


@given(st.lists(LINES, max_size=5), LINES, SENDERS, RECIPIENTS)
def test_one_allow_less_never_lets_more_through_while_one_is_left(
    lines: list[str], more: str, sender: str, to: str
) -> None:
    """Without any allow a grant only forbids; so says docs/bridges.md."""
    allow = more.replace("deny", "allow")
    if any(line.startswith("allow") for line in lines) and decide(lines, sender, to):
        assert decide([*lines, allow], sender, to)


@given(
    st.lists(LINES, max_size=5).flatmap(
        lambda lines: st.tuples(st.just(lines), st.permutations(lines))
    ),
    SENDERS,
    RECIPIENTS,
)
def test_the_order_of_a_grant_is_of_no_matter(
    both: tuple[list[str], list[str]], sender: str, to: str
) -> None:
    assert decide(both[0], sender, to) == decide(both[1], sender, to)


# --- who is shown --------------------------------------------------------------------

ALLOWS: Final = st.builds(
    "{} -> {}{}{}".format,
    st.sampled_from(SIDES),
    st.sampled_from(SIDES),
    st.sampled_from(["", " kinds=inform,request"]),
    st.sampled_from(["", " expose"]),
)
DENIES: Final = st.builds(
    "!{} -> {}{}".format,
    st.sampled_from(SIDES),
    st.sampled_from(SIDES),
    st.sampled_from(["", " labels=x", " kinds=request", " priority=5..9"]),
)
OUT: Final = st.sampled_from(["", "deny a -> *", "allow * -> *b", "deny * -> a*"])

MESSAGES: Final = [
    Facts("", "", kind, priority, 0, labels, 0, False)
    for kind, priority, labels in product(
        ("inform", "request", "reply", "ack"), (4, 9), ((), ("x",), ("y",))
    )
]


def passes(rules: Rules, sender: str, name: str) -> bool:
    """Whether the bridge carries anything at all from one to the other."""
    return any(
        rules.link("dev", "prod")
        .decide(facts._replace(sender=f"{sender}@dev", to=f"{name}@prod"))
        .carry
        for facts in MESSAGES
    )


@given(st.lists(ALLOWS, min_size=1, max_size=3), st.lists(DENIES, max_size=2), OUT)
def test_whoever_is_shown_an_agent_may_write_to_it(
    allows: list[str], denies: list[str], out: str
) -> None:
    """What is shown is who a rule exposes and no deny keeps away whatever is said."""
    rules = rules_of("dev", "prod", *allows, *denies)
    town = Cluster("dev", "prod")
    with closing(town):
        town.people(*(f"{name}@{network}" for network in town.nets for name in NAMES))
        there = town.link("dev", "prod", rules)
        town.run()
        dev = town.nets["dev"]
        dev.call(OPERATOR, "grant", "prod", "out", out)
        rows = exposed_rows(there.one_way, NAMES)
        there.source.ask("publish", body=pack_map(rows))
        link = dev.broker._links.named("prod")
        assert link is not None
        for sender in NAMES:
            shown = dev.broker._links.remote(link, sender, dev.mono)
            assert set(shown) == {
                name for name in NAMES if wanted(sender, name, allows, denies, out)
            }
            for name in shown:
                assert passes(rules, sender, name), (sender, name)


def wanted(
    sender: str, name: str, allows: list[str], denies: list[str], out: str
) -> bool:
    """Whether it is to be shown: some rule exposes it, nothing always keeps it away."""
    ends = f"{sender}@dev", f"{name}@prod"
    shows = [
        f"allow {text.partition(' expose')[0]}" for text in allows if "exp" in text
    ]
    always = [f"deny {text[1:]}" for text in denies if "=" not in text]
    return (
        any(matches(without_words(line), *ends) for line in shows)
        and not any(matches(line, *ends) for line in always)
        and decide(out.splitlines(), *ends)
    )


def without_words(line: str) -> str:
    return " ".join(line.split()[:4])
