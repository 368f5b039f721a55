"""What `bridges explain` says of a message is what becomes of it.

Random rules, grants and messages: the gates of both brokers and the rules of the bridge
are asked as the command asks them, and then the message is sent.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final, cast

from hypothesis import example, given
from hypothesis import strategies as st

from ipcbus.broker.settings import Settings
from ipcbus.doors.cli.bridge_explain import _Found, _Gate, _told
from ipcbus.protocol.messages import Meta
from ipcbus.protocol.pieces import pack_meta
from ipcbus_bridges.rules import Facts
from tests.bridges import naive
from tests.bridges.cluster import Cluster
from tests.bridges.naive import Spec, specs
from tests.broker.harness import OPERATOR

HERE: Final = ("a", "b", "ab")
"""Agents of dev, and of prod; not all of them are there."""

GRANTS: Final = st.sampled_from(
    ["", "", "", "deny a* -> *", "allow * -> b*", "allow ab -> *\nallow * -> #a.**"]
)

MESSAGES: Final = st.lists(
    st.builds(
        Facts,
        sender=st.sampled_from([f"{name}@dev" for name in HERE]),
        to=st.sampled_from(["a@prod", "b@prod", "ab@prod", "bb@prod", "#a", "#a.b"]),
        kind=st.sampled_from(["inform", "request", "ack", "control"]),
        priority=st.sampled_from([4, 5]),
        size=st.sampled_from([10, 11, 40]),
        labels=st.sampled_from([(), ("x",), ("y",)]),
        hops=st.just(0),
        granted=st.just(False),
    ),
    min_size=1,
    max_size=6,
)


CONTROLS: Final = [Spec(True, "dev", ("*", None), ("*", None), ("control", "inform"))]
A_CONTROL: Final = Facts("a@dev", "b@prod", "control", 4, 10, (), 0, False)


@example(CONTROLS, "", "", [A_CONTROL, A_CONTROL._replace(kind="inform")])
@given(st.lists(specs(), max_size=4), GRANTS, GRANTS, MESSAGES)
def test_what_is_told_of_a_message_is_what_becomes_of_it(
    given_: list[Spec], out: str, into: str, messages: list[Facts]
) -> None:
    small = {"prod": Settings(max_body=39, guard_pair=0, guard_repeats=0)}
    town = Cluster("dev", "prod", settings=small)
    with closing(town):
        town.people(*(f"{name}@{net}" for net in town.nets for name in HERE))
        town.nets["prod"].call(b"b", "join", "**")
        there = town.link("dev", "prod", naive.rules(given_))
        town.run()
        town.nets["dev"].call(OPERATOR, "grant", "prod", "out", out)
        town.nets["prod"].call(OPERATOR, "grant", "dev", "in", into)
        for n, facts in enumerate(messages):
            refused = explained(town, facts)
            assert (send(town, f"m{n}", facts) == "there") == (not refused), refused
        assert there.state == "running"


def explained(town: Cluster, facts: Facts) -> str:
    """Why it would not pass, as the command says it."""
    rules = town.wires[0].one_way
    steps: list[str] = []
    decision = rules.decide(facts, steps)
    assert decision == rules.decide(facts)
    out, into = gates(town, "dev", "out", facts), gates(town, "prod", "in", facts)
    none = cast("Any", None)
    return _Found(facts, out, none, steps, decision, into, []).refused


def gates(town: Cluster, network: str, way: str, facts: Facts) -> list[_Gate]:
    peer = "prod" if network == "dev" else "dev"
    asked = (peer, way, facts.sender, facts.to, facts.size)
    (rows,) = town.nets[network].call(OPERATOR, "gates", *asked)
    return _told(network, way, facts, rows)


def send(town: Cluster, id_: str, facts: Facts) -> str:
    """What becomes of it."""
    labels = list(facts.labels) or None
    said = town.send(
        facts.sender,
        facts.to,
        as_=id_,
        body="x" * facts.size,
        kind=facts.kind,
        priority=facts.priority,
        meta=pack_meta(Meta(labels=labels)),
    )
    if said != "accepted":
        return said
    town.run()
    found = [mail for name in HERE for mail in town.read(f"{name}@prod")]
    return "there" if any(one.header.id == f"{id_}@dev" for one in found) else "not"
