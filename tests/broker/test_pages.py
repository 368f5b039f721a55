"""What is in memory of a mailbox never shows: order and attempts are the store's."""

from __future__ import annotations

import pytest

from ipcbus.protocol.limits import MAX_BODY
from ipcbus.protocol.messages import Send
from tests.broker.harness import Delivered, Harness, delivered, draft

ALICE, BOB = b"alice", b"bob"


@pytest.fixture
def pair(bus: Harness) -> Harness:
    bus.join_up("alice", "bob")
    return bus


def take(bus: Harness, messages: int) -> list[Delivered]:
    """The next of what waits, read and acked."""
    mail = bus.fetch(BOB, messages)
    bus.settle(BOB, acks=[one.receipt for one in mail])
    return mail


def _ids(mail: list[Delivered]) -> list[str]:
    return [one.header.id for one in mail]


def test_urgent_mail_overtakes_what_waits_behind_a_full_credit(pair: Harness) -> None:
    pair.credit(BOB, 1)
    first = Send(pair.ref(), [draft("m1", "bob")], [b"hi"])
    (held,) = delivered(pair.say(ALICE, first), BOB)
    for id_, priority in {"m2": 4, "m3": 9, "m4": 0, "m5": 9}.items():
        pair.send(ALICE, draft(id_, "bob", priority=priority))
    pair.credit(BOB, 0)
    pair.settle(BOB, acks=[held.receipt])
    assert _ids(take(pair, 9)) == ["m3", "m5", "m2", "m4"]


def test_bodies_of_the_largest_size_come_whole_and_in_order(pair: Harness) -> None:
    """More than one page holds, though they are few."""
    bodies = [bytes([n]) * MAX_BODY for n in range(6)]
    for n, body in enumerate(bodies):
        pair.say(ALICE, Send(pair.ref(), [draft(f"m{n}", "bob")], [body]))
    mail = [one for _ in bodies for one in take(pair, 2)]
    assert [(one[3][:1], len(one[3])) for one in mail] == [
        (body[:1], MAX_BODY) for body in bodies
    ]


@pytest.mark.parametrize("count", [511, 512, 513, 1025])
def test_a_backlog_of_about_a_page_comes_whole(pair: Harness, count: int) -> None:
    ids = [f"m{n}" for n in range(count)]
    pair.send(ALICE, *(draft(id_, "bob") for id_ in ids))
    found: list[str] = []
    while mail := take(pair, 500):
        found += _ids(mail)
    assert found == ids


def test_what_piles_up_behind_a_reader_that_is_busy_comes_whole(pair: Harness) -> None:
    """More than is kept in memory, and what is urgent comes first all the same."""
    pair.credit(BOB, 1)
    first = Send(pair.ref(), [draft("m", "bob")], [b"hi"])
    (held,) = delivered(pair.say(ALICE, first), BOB)
    ids = [f"m{n}" for n in range(2200)]
    for at in range(0, len(ids), 550):
        pair.send(ALICE, *(draft(id_, "bob") for id_ in ids[at : at + 550]))
    pair.send(ALICE, draft("urgent", "bob", priority=9))
    pair.credit(BOB, 0)
    pair.settle(BOB, acks=[held.receipt])
    found: list[str] = []
    while mail := take(pair, 500):
        found += _ids(mail)
    assert found == ["urgent", *ids]


def test_what_comes_back_stands_before_what_came_later(pair: Harness) -> None:
    pair.send(ALICE, *(draft(f"m{n}", "bob") for n in range(4)))
    first, second = pair.fetch(BOB, 2)
    pair.settle(BOB, releases=[second.receipt])
    assert _ids(take(pair, 2)) == ["m1"]
    pair.settle(BOB, nacks=[[*first.receipt, 0, None]])
    pair.send(ALICE, draft("m4", "bob"))
    assert _ids(take(pair, 9)) == ["m0", "m2", "m3", "m4"]


def test_what_arrives_while_others_come_back_does_not_overtake_them(
    pair: Harness,
) -> None:
    pair.send(ALICE, draft("m0", "bob"), draft("m1", "bob"))
    pair.credit(BOB, 2)
    pair.hello(b"bob/2")
    pair.lose(BOB)
    done = pair.say(ALICE, Send(pair.ref(), [draft("m2", "bob")], [b"hi"]))
    assert delivered(done, b"bob/2") == []
    assert _ids(pair.credit(b"bob/2", 9)) == ["m0", "m1", "m2"]
