"""What is sent again is there once, and takes nothing: no room, no credit, no turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import Draft, Send
from tests.broker.harness import Harness, delivered, draft

ALICE, BOB = b"alice", b"bob"
BIG = "x" * 1000


@pytest.fixture
def small() -> Iterator[Harness]:
    """A mailbox has room for three big messages."""
    harness = Harness(Settings(mailbox_bytes=4000, mailbox_messages=3))
    harness.join_up("alice", "bob", "carol")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def drafts(*ids: str) -> list[Draft]:
    return [draft(id_, "bob") for id_ in ids]


def test_what_is_sent_again_takes_no_room_in_a_mailbox(small: Harness) -> None:
    small.send(ALICE, *drafts("m1"), body=BIG)
    for _ in range(20):
        small.send(ALICE, *drafts("m1"), body=BIG)
    assert small.send(ALICE, *drafts("m2", "m3"), body=BIG) == []
    assert small.send(ALICE, *drafts("m4"), body=BIG)[0][1] == "bound_exceeded"
    assert [one.header.id for one in small.fetch(BOB)] == ["m1", "m2", "m3"]


def test_what_is_sent_again_takes_no_credit_of_who_waits_for_mail(
    small: Harness,
) -> None:
    small.credit(BOB, 2)
    small.send(ALICE, *drafts("m1"))
    for _ in range(20):
        small.send(ALICE, *drafts("m1"))
    done = small.say(ALICE, Send(small.ref(), drafts("m1", "m2"), [b"hi", b"hi"]))
    assert [one.header.id for one in delivered(done, BOB)] == ["m2"]


def test_in_one_batch_what_is_new_goes_on_and_keeps_its_order(bus: Harness) -> None:
    bus.join_up("alice", "bob")
    bus.send(ALICE, *drafts("m2"))
    bus.fetch(BOB)
    bus.credit(BOB, 9)
    batch = drafts("m1", "m2", "m3", "m1")
    done = bus.say(ALICE, Send(bus.ref(), batch, [b"hi"] * 4))
    assert [one.header.id for one in delivered(done, BOB)] == ["m1", "m3"]


def test_in_one_batch_each_that_is_known_is_told_so(bus: Harness) -> None:
    bus.join_up("alice", "bob")
    bus.send(ALICE, *drafts("m2", "m4"))
    said = bus.send(ALICE, *drafts("m1", "m2", "m3", "m4"))
    assert [(at, state, facts) for at, state, facts in said] == [
        (1, "accepted", {"again": True}),
        (3, "accepted", {"again": True}),
    ]


def test_of_many_recipients_none_gets_it_again(small: Harness) -> None:
    for _ in range(2):
        small.send(ALICE, draft("m1", "*"))
    for name in (BOB, b"carol"):
        assert [one.header.id for one in small.fetch(name)] == ["m1"]
