"""What the tracker does with deliveries, fetches and awaited replies."""

from __future__ import annotations

import pytest

from ipcbus.errors import (
    StaleLease,
)
from ipcbus.protocol.messages import Deliver
from ipcbus.testing import MemoryLink
from tests.client.bus import Bus

# --- receiving ---


def test_nothing_is_delivered_before_it_is_wanted(bus: Bus) -> None:
    bus.alice.submit("bob", "x")
    bus.broker.settle_down()
    assert bus.bob.take() == []
    bus.bob.read()
    bus.broker.settle_down()
    assert len(bus.bob.take()) == 1


def test_a_reader_that_holds_a_whole_window_gets_another(bus: Bus) -> None:
    carol = MemoryLink(bus.broker, "carol", prefetch=4)
    for n in range(10):
        bus.alice.submit("carol", str(n))
    carol.read()
    bus.broker.settle_down()
    assert len(carol.take()) == 4
    assert carol.tracker.intake.wants_more(60_000)
    carol.read()
    bus.broker.settle_down()
    assert len(carol.take()) == 4


def test_an_unread_buffer_is_given_back_after_half_its_lease(bus: Bus) -> None:
    for n in range(3):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    (first,) = bus.bob.take(1)
    bus.clock.advance(31)
    bus.bob.tick()
    bus.broker.settle_down()
    assert bus.bob.take() == []
    other = MemoryLink(bus.broker, "bob")
    other.read()
    bus.broker.settle_down()
    found = other.take()
    assert [m.body for m in found] == ["1", "2"]
    assert [m.attempt for m in found] == [1, 1]  # never shown, so not counted
    first.ack()


def test_a_fetch_takes_so_many_and_tells_how_many_wait(bus: Bus) -> None:
    for n in range(5):
        bus.alice.submit("bob", str(n))
    bus.broker.settle_down()
    fetch = bus.bob.fetch(2)
    bus.broker.settle_down()
    messages, remaining = fetch.result(0)
    assert [m.body for m in messages] == ["0", "1"]
    assert remaining == 3


def test_a_fetch_whose_answer_is_late_wakes_nobody(bus: Bus) -> None:
    """Its time is over at once, but only the answer says that nothing is there."""
    intake = bus.bob.tracker.intake
    fetch = bus.bob.fetch(1)
    bus.bob.tick()
    assert not fetch.done()
    assert intake.wake_at() == float("inf")
    bus.broker.settle_down()
    assert fetch.result(0) == ([], 0)


def test_a_fetch_counts_what_is_held_already(bus: Bus) -> None:
    for n in range(5):
        bus.alice.submit("bob", str(n))
    bus.broker.settle_down()
    for expected in (["0", "1"], ["2", "3"], ["4"], []):
        fetch = bus.bob.fetch(2)
        bus.broker.settle_down()
        assert [m.body for m in fetch.result(0)[0]] == expected


def test_a_fetch_gets_one_message_of_any_size_beside_what_is_held(bus: Bus) -> None:
    for size in (1000, 100_000):
        bus.alice.submit("bob", "x" * size)
    bus.broker.settle_down()
    for size in (1000, 100_000):
        fetch = bus.bob.fetch(5)
        fetch.most_bytes = 2000
        bus.broker.settle_down()
        assert [len(m.raw_body) for m in fetch.result(0)[0]] == [size]


def test_a_fetch_waits_for_the_first_and_gives_back_the_rest(bus: Bus) -> None:
    fetch = bus.bob.fetch(5, wait_s=10)
    bus.broker.settle_down()
    assert not fetch.done()
    bus.alice.submit("bob", "0")
    bus.alice.step()
    bus.alice.submit("bob", "1")
    bus.broker.settle_down()
    messages, remaining = fetch.result(0)
    assert [m.body for m in messages] + ["1"] * remaining == ["0", "1"]


def test_a_fetch_ends_at_its_deadline_with_nothing(bus: Bus) -> None:
    fetch = bus.bob.fetch(5, wait_s=10)
    bus.broker.settle_down()
    bus.clock.advance(10)
    bus.bob.tick()
    assert fetch.result(0) == ([], 0)
    bus.alice.submit("bob", "later")
    bus.broker.settle_down()
    assert bus.bob.tracker.intake.leases == {}


def test_a_fetch_that_is_cancelled_gives_back_what_it_has(bus: Bus) -> None:
    bus.alice.submit("bob", "x")
    bus.broker.settle_down()
    fetch = bus.bob.fetch(1)
    bus.bob.speak()
    bus.bob.arrive()
    bus.bob.tracker.intake.cancel(fetch)
    bus.broker.settle_down()
    again = bus.bob.fetch(1)
    bus.broker.settle_down()
    assert [m.attempt for m in again.result(0)[0]] == [1]


def test_a_fetch_closes_a_window_that_is_open_and_opens_it_again(bus: Bus) -> None:
    for n in range(4):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    fetch = bus.bob.fetch(1)
    bus.broker.settle_down()
    assert [m.body for m in fetch.result(0)[0]] == ["0"]
    assert [m.body for m in bus.bob.take()] == ["1", "2", "3"]


def test_a_lease_that_has_run_out_is_not_held_any_more(bus: Bus) -> None:
    bus.alice.submit("bob", "x")
    bus.bob.read(lease_ms=1000)
    bus.broker.settle_down()
    (late,) = bus.bob.take()
    other = MemoryLink(bus.broker, "bob")
    other.read()
    bus.clock.advance(5)
    bus.broker.turn()
    bus.bob.cut()
    bus.broker.settle_down()
    ack = late.ack()
    bus.broker.settle_down()
    with pytest.raises(StaleLease):
        ack.result(0)


# --- replies ---


def test_a_reply_that_is_waited_for_does_not_go_to_readers(bus: Bus) -> None:
    bus.alice.read()
    bus.bob.read()
    awaited = bus.alice.wait_for("q1")
    bus.alice.submit("bob", "?", id="q1", kind="request")
    bus.broker.settle_down()
    (question,) = bus.bob.take()
    bus.bob.submit("alice", "!", kind="reply", reply_to=question.id)
    bus.broker.settle_down()
    assert awaited.result(0).body == "!"
    assert bus.alice.take() == []


def test_a_reply_comes_without_credit_and_after_a_takeover(bus: Bus) -> None:
    awaited = bus.alice.wait_for("q1")
    bus.alice.submit("bob", "?", id="q1", kind="request")
    bus.broker.settle_down()
    bus.broker.takeover()
    bus.bob.submit("alice", "!", kind="reply", reply_to="q1")
    bus.broker.settle_down()
    assert awaited.result(0).body == "!"


def test_a_reply_that_nobody_waits_for_any_more_stays_in_the_mailbox(bus: Bus) -> None:
    awaited = bus.alice.wait_for("q1")
    bus.broker.settle_down()
    bus.alice.tracker.give_up(awaited)
    bus.bob.submit("alice", "!", kind="reply", reply_to="q1")
    bus.broker.settle_down()
    bus.alice.read()
    bus.broker.settle_down()
    assert [m.body for m in bus.alice.take()] == ["!"]


def test_a_reply_that_lies_unread_is_found(bus: Bus) -> None:
    bus.alice.read()
    bus.bob.submit("alice", "!", kind="reply", reply_to="q1")
    bus.broker.settle_down()
    assert bus.alice.wait_for("q1").result(0).body == "!"


def test_a_delivery_that_comes_again_takes_the_place_of_the_first(bus: Bus) -> None:
    bus.alice.submit("bob", "long body")
    bus.bob.read()
    bus.broker.settle_down()
    intake = bus.bob.tracker.intake
    (first,) = bus.bob.take()
    seqs, headers = [first.seq] * 2, [first.header] * 2
    again = Deliver(seqs, [2, 3], headers, [b"again", b"and again"])
    intake.deliver(again, bus.clock.mono)
    intake.check_invariants()
    (held,) = intake.leases.values()
    assert (held.attempt, held.raw_body) == (3, b"and again")
    intake.let_go([first])
    assert list(intake.leases.values()) == [held]
    intake.let_go([held])
    assert intake.bytes == 0
