"""Mail whose time is over before anybody has looked: it is given to nobody."""

from __future__ import annotations

import pytest

from ipcbus.protocol.messages import Send
from tests.broker.harness import Harness, delivered, draft

ALICE, BOB = b"alice", b"bob"


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob")


def _take_over(bus: Harness) -> None:
    bus.restart()
    for peer in (ALICE, BOB):
        bus.hello(peer)


def test_what_is_held_to_its_very_end_is_not_given_again(bus: Harness) -> None:
    """The broker that gave it more time for its reader is gone."""
    bus.send(ALICE, draft("m1", "bob", ttl_ms=1000))
    bus.credit(BOB, 1, lease_s=60)
    bus.advance(1)
    _take_over(bus)
    assert bus.fetch(BOB) == []


def _late_reply(bus: Harness) -> None:
    """`r1`, the answer to `q1`, is over, and was held by who is not there now."""
    bus.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1", ttl_ms=1000))
    bus.credit(ALICE, 1, lease_s=60)
    bus.advance(2)
    _take_over(bus)


def test_a_late_reply_ends_when_somebody_asks_for_it(bus: Harness) -> None:
    _late_reply(bus)
    assert bus.call(ALICE, "await", "q1") == [False]
    bus.turn()
    (bounce,) = bus.fetch(BOB)
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "r1")


def test_behind_a_late_reply_the_next_one_is_found(bus: Harness) -> None:
    _late_reply(bus)
    bus.send(BOB, draft("r2", "alice", kind="reply", reply_to="q1"))
    bus.hello(b"alice/2")
    assert bus.call(b"alice/2", "await", "q1") == [True]


def test_who_asks_for_a_late_reply_awaits_the_next_one(bus: Harness) -> None:
    _late_reply(bus)
    assert bus.call(ALICE, "await", "q1") == [False]
    again = Send(
        bus.ref(), [draft("r2", "alice", kind="reply", reply_to="q1")], [b"hi"]
    )
    assert [one.header.id for one in delivered(bus.say(BOB, again), ALICE)] == ["r2"]
