"""Replies that somebody awaits, and messages settled by their id: one each, no more."""

from __future__ import annotations

import pytest

from ipcbus.broker.calls_mail import MOST_AWAITS
from ipcbus.protocol.messages import Call, Send
from tests.broker.harness import Delivered, Harness, delivered, draft

ALICE, ALICE2, BOB = b"alice", b"alice/2", b"bob"


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob")


def _reply(bus: Harness, id_: str, peer: bytes) -> list[Delivered]:
    """What `peer` gets of a reply to `q1`."""
    reply = draft(id_, "alice", kind="reply", reply_to="q1")
    return delivered(bus.say(BOB, Send(bus.ref(), [reply], [b"hi"])), peer)


def _ids(mail: list[Delivered]) -> list[str]:
    return [one.header.id for one in mail]


def test_who_got_a_reply_that_came_back_awaits_no_other(bus: Harness) -> None:
    assert _ids(_reply(bus, "r1", ALICE)) == []
    bus.credit(ALICE, 1)
    bus.hello(ALICE2)
    assert bus.call(ALICE2, "await", "q1") == [False]
    assert _ids(delivered(bus.lose(ALICE), ALICE2)) == ["r1"]
    assert _reply(bus, "r2", ALICE2) == []
    assert _ids(bus.credit(ALICE2, 2)) == ["r2"]


def test_a_reply_that_is_next_for_one_reader_goes_to_who_awaits_it_alone(
    bus: Harness,
) -> None:
    bus.credit(ALICE, 1)
    bus.send(BOB, draft("m0", "alice"))
    assert _reply(bus, "r1", ALICE) == []
    bus.hello(ALICE2)
    assert bus.call(ALICE2, "await", "q1") == [True]
    assert bus.credit(ALICE, 5) == []


def test_of_two_replies_the_one_that_is_free_goes_to_who_awaits_it(
    bus: Harness,
) -> None:
    bus.credit(ALICE, 1)
    assert _ids(_reply(bus, "r1", ALICE)) == ["r1"]
    assert _reply(bus, "r2", ALICE) == []
    bus.hello(ALICE2)
    assert bus.call(ALICE2, "await", "q1") == [True]
    assert bus.credit(ALICE, 5) == []


def test_a_reply_that_is_put_off_holds_up_no_other(bus: Harness) -> None:
    bus.credit(ALICE, 1)
    (first,) = _reply(bus, "r1", ALICE)
    assert _reply(bus, "r2", ALICE) == []
    bus.credit(ALICE, 0)
    bus.settle(ALICE, nacks=[[*first.receipt, 60_000, None]])
    bus.hello(ALICE2)
    assert bus.call(ALICE2, "await", "q1") == [True]
    assert _ids(bus.fetch(ALICE)) == []


def test_to_ack_one_by_its_id_settles_no_other(bus: Harness) -> None:
    bus.send(ALICE, *(draft(id_, "bob") for id_ in ("m1", "m2", "m3")))
    mail = bus.fetch(BOB)
    bus.hello(b"bob/2")
    assert bus.call(b"bob/2", "settle", "ack", "m1", 0, None) == []
    assert bus.settle(BOB, acks=[one.receipt for one in mail[1:]]) == []


def test_of_too_many_awaits_the_oldest_is_forgotten_and_none_refused(
    bus: Harness,
) -> None:
    for n in range(MOST_AWAITS):
        assert bus.call(ALICE, "await", f"q{n}") == [False]
    assert bus.call(ALICE, "await", "q0") == [False]  # and so is not the oldest
    assert bus.call(ALICE, "await", "new") == [False]
    assert _ids(_reply(bus, "r1", ALICE)) == []
    assert _ids(bus.credit(ALICE, 1)) == ["r1"]
    bus.credit(ALICE, 0)
    for id_ in ("q0", "q2", "new"):
        reply = draft(f"to-{id_}", "alice", kind="reply", reply_to=id_)
        done = bus.say(BOB, Send(bus.ref(), [reply], [id_.encode()]))
        assert _ids(delivered(done, ALICE)) == [f"to-{id_}"]


def test_a_dead_letter_that_is_replayed_goes_to_who_awaits_it(bus: Harness) -> None:
    assert _ids(_reply(bus, "r1", ALICE)) == []
    for _ in range(5):
        (one,) = bus.fetch(ALICE)
        bus.settle(ALICE, nacks=[[*one.receipt, 0, None]])
    bus.hello(ALICE2)
    assert bus.call(ALICE2, "await", "q1") == [False]
    replay = Call(bus.ref(), "replay", ["r1"], b"")
    assert _ids(delivered(bus.say(ALICE, replay), ALICE2)) == ["r1"]
