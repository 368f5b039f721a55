"""`pause` and `resume`: a person stops deliveries, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.protocol.messages import Call, Send
from tests.broker.harness import OPERATOR, Delivered, Harness, delivered, draft

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"


@pytest.fixture
def bus() -> Iterator[Harness]:
    harness = Harness()
    harness.join_up("alice", "bob", "carol")
    yield harness
    harness.close()


def _ids(found: list[Delivered]) -> list[str]:
    return [one.header.id for one in found]


def _resume(bus: Harness, name: str | None, peer: bytes = BOB) -> list[str]:
    actions = bus.say(OPERATOR, Call(1, "resume", [name], b""))
    return _ids(delivered(actions, peer))


@pytest.mark.parametrize("name", [None, "bob"])
def test_what_is_sent_waits_and_comes_in_order_when_resumed(
    bus: Harness, name: str | None
) -> None:
    bus.credit(BOB, 10)
    bus.call(OPERATOR, "pause", name)
    actions = bus.say(ALICE, Send(1, [draft("m1", "bob")], [b"hi"]))
    assert delivered(actions, BOB) == []
    bus.send(ALICE, draft("m2", "bob", priority=9), draft("m3", "bob"))
    assert bus.credit(BOB, 20) == []
    assert _resume(bus, name) == ["m2", "m1", "m3"]


def test_only_the_one_who_is_named_is_paused(bus: Harness) -> None:
    assert bus.call(OPERATOR, "pause", "Bob") == [False, ["bob"]]
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "carol"))
    assert bus.fetch(BOB) == []
    assert _ids(bus.fetch(CAROL)) == ["m2"]


def test_leases_stay_good_and_can_be_settled(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "bob"), draft("m3", "bob"))
    one, two, three = bus.fetch(BOB)
    bus.call(OPERATOR, "pause", None)
    assert bus.settle(BOB, acks=[one.receipt]) == []
    assert bus.settle(BOB, extends=[[*two.receipt, 600_000]]) == []
    assert bus.settle(BOB, nacks=[[*three.receipt, 0, "not now"]]) == []
    bus.credit(BOB, 10)
    assert _resume(bus, None) == ["m3"]
    assert bus.settle(BOB, acks=[two.receipt]) == []


def test_a_reply_that_is_awaited_waits_too(bus: Harness) -> None:
    bus.send(ALICE, draft("q1", "bob", kind="request"))
    assert bus.call(ALICE, "await", "q1") == [False]
    bus.call(OPERATOR, "pause", "alice")
    answer = draft("r1", "alice", kind="reply", reply_to="q1")
    actions = bus.say(BOB, Send(1, [answer], [b"hi"]))
    assert delivered(actions, ALICE) == []
    assert bus.call(ALICE, "await", "q1") == [False]
    assert _resume(bus, "alice", ALICE) == ["r1"]


def test_both_kinds_of_pauses_are_lifted_apart(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"))
    bus.call(OPERATOR, "pause", "bob")
    assert bus.call(OPERATOR, "pause", None) == [True, ["bob"]]
    assert bus.call(OPERATOR, "resume", None) == [False, ["bob"]]
    assert bus.fetch(BOB) == []
    assert bus.call(OPERATOR, "resume", "bob") == [False, []]
    assert _ids(bus.fetch(BOB)) == ["m1"]


def test_a_pause_outlives_the_broker(bus: Harness) -> None:
    bus.call(OPERATOR, "pause", "bob")
    bus.call(OPERATOR, "pause", None)
    bus.call(OPERATOR, "resume", None)
    bus.send(ALICE, draft("m1", "bob"))
    bus.restart()
    bus.hello(OPERATOR)
    bus.hello(BOB)
    assert bus.fetch(BOB) == []
    assert bus.call(OPERATOR, "status")["paused"] == {
        "network": False,
        "agents": ["bob"],
    }
    bus.call(OPERATOR, "resume", "bob")
    assert _ids(bus.fetch(BOB)) == ["m1"]


def test_status_tells_an_agent_of_itself_alone(bus: Harness) -> None:
    bus.call(OPERATOR, "pause", "bob")
    assert bus.call(BOB, "status")["paused"] == {"network": False, "agents": ["bob"]}
    assert bus.call(ALICE, "status")["paused"] == {"network": False, "agents": []}


def test_only_an_operator_pauses(bus: Harness) -> None:
    assert bus.refused(ALICE, "pause", None).code == "not_permitted"
    assert bus.refused(ALICE, "resume", None).code == "not_permitted"


def test_who_is_not_there_cannot_be_paused(bus: Harness) -> None:
    refusal = bus.refused(OPERATOR, "pause", "bobb")
    assert refusal.code == "unknown_recipient"
    assert refusal.facts["near"] == ["bob"]
    assert bus.refused(OPERATOR, "pause", "@prod").code == "invalid_message"


def test_what_expires_while_paused_bounces(bus: Harness) -> None:
    bus.call(OPERATOR, "pause", "bob")
    bus.send(ALICE, draft("m1", "bob", ttl_ms=1000))
    bus.advance(2)
    assert [one.header.kind for one in bus.fetch(ALICE)] == ["bounce"]
