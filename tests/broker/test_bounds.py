"""A bound lets through what just fits, and says its name when it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.events import Hand
from ipcbus.broker.settings import DAY, Settings
from ipcbus.protocol.messages import FLAG_FUTURE, Send
from tests.broker.harness import OPERATOR, Harness, draft

ALICE, BOB = b"alice", b"bob"


def bus_with(**settings: Any) -> Harness:
    bus = Harness(Settings(**settings))
    bus.join_up("alice", "bob")
    return bus


def refusal(bus: Harness, body: str = "hi") -> str:
    """Which bound a message meets; empty if none."""
    said = bus.send(ALICE, draft(f"m{bus.ref()}", "bob"), body=body)
    return str(said[0][2]["bound"]) if said else ""


def test_a_body_may_be_as_long_as_the_bound_and_no_longer() -> None:
    bus = bus_with(max_body=100)
    assert refusal(bus, "x" * 100) == ""
    assert refusal(bus, "x" * 101) == "max_body"
    bus.call(OPERATOR, "limit", "alice", 0, 50)
    assert refusal(bus, "x" * 50) == ""
    assert refusal(bus, "x" * 51) == "max_body"
    assert refusal(bus, "ä" * 25) == ""
    bus.close()


def test_of_a_batch_the_longest_body_counts() -> None:
    bus = bus_with(max_body=100)
    bus.send(ALICE, draft("a", "bob"), draft("b", "bob"), body="x" * 101)
    assert bus.fetch(BOB) == []
    assert bus.counters()["refused"] == 2
    bus.close()


def test_a_mailbox_may_be_filled_to_its_last_byte() -> None:
    """What counts is what is stored: the header as it is packed, and the body."""
    one = bus_with()
    one.credit(BOB, 1)
    done = one.say(ALICE, Send(one.ref(), [draft("m0", "bob")], [b"x" * 500]))
    (hand,) = (action for action in done if isinstance(action, Hand))
    size = len(hand.headers[0]) + len(hand.bodies[0])
    one.close()
    bus = bus_with(mailbox_bytes=3 * size)
    drafts = [draft(f"m{n}", "bob") for n in range(4)]
    assert bus.send(ALICE, *drafts[:3], body="x" * 500) == []
    assert bus.send(ALICE, drafts[3], body="x")[0][2]["bound"] == "mailbox_bytes of bob"
    bus.close()


def test_what_was_read_makes_room_again_in_bytes_too() -> None:
    bus = bus_with(mailbox_bytes=2000)
    for _ in range(10):
        assert refusal(bus, "x" * 1000) == ""
        (one,) = bus.fetch(BOB)
        bus.settle(BOB, acks=[one.receipt])
    bus.close()


@pytest.mark.parametrize(
    ("ttl_ms", "days"),
    [(None, 7), (30 * DAY, 7), (2 * DAY, 2)],
    ids=["no ttl", "a longer one", "a shorter one"],
)
def test_mail_for_a_name_to_come_waits_for_its_time_or_seven_days(
    ttl_ms: int | None, days: int
) -> None:
    bus = bus_with()
    said = bus.send(ALICE, draft("m1", "dora", ttl_ms=ttl_ms, flags=FLAG_FUTURE))
    assert said[0][1] == "future"
    bus.advance(days * 86_400 - 60)
    bus.hello(ALICE)
    assert bus.fetch(ALICE) == []
    bus.advance(120)
    bus.hello(ALICE)
    (bounce,) = bus.fetch(ALICE)
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "m1")
    bus.hello(OPERATOR)
    bus.join_up("dora")
    assert bus.fetch(b"dora") == []
    bus.close()


def test_every_priority_is_one_and_they_are_read_from_the_highest() -> None:
    bus = bus_with()
    for priority in (4, 0, 9, 1, 8):
        bus.send(ALICE, draft(f"p{priority}", "bob", priority=priority))
    ids = [mail.header.id for mail in bus.fetch(BOB)]
    assert ids == ["p9", "p8", "p4", "p1", "p0"]
    bus.close()
