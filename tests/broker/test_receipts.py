"""Receipts, `(seq, attempt)`: which are good, and what they do."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import Settle, Settled
from tests.broker.harness import Delivered, Harness, delivered, draft, only

ALICE, BOB, BOB2 = b"alice", b"bob", b"bob/2"


@pytest.fixture
def pair(bus: Harness) -> Harness:
    bus.join_up("alice", "bob")
    return bus


def flow(bus: Harness, *ids: str, priority: int = 4) -> None:
    assert bus.send(ALICE, *(draft(id_, "bob", priority=priority) for id_ in ids)) == []


def take_over(bus: Harness) -> None:
    bus.restart()
    for peer in (ALICE, BOB):
        bus.hello(peer)


def _ids(mail: list[Delivered]) -> list[str]:
    return [one.header.id for one in mail]


# --- which are good ------------------------------------------------------------------


def test_of_what_was_never_delivered_no_receipt_is_good(pair: Harness) -> None:
    """A number can be guessed; and nobody was shown the message."""
    flow(pair, "m1", "m2")
    (one,) = pair.fetch(BOB, 1)
    behind = one.receipt[0] + 1
    for attempt in (0, 1):
        assert pair.settle(BOB, acks=[(behind, attempt)]) == [behind]
        assert pair.settle(BOB, extends=[[behind, attempt, 1000]]) == [behind]
        assert pair.settle(BOB, releases=[(behind, attempt)]) == [behind]
    assert _ids(pair.fetch(BOB)) == ["m2"]


@pytest.mark.parametrize("priority", [0, 4, 9])
def test_a_receipt_is_good_after_a_takeover_whatever_the_priority(
    pair: Harness, priority: int
) -> None:
    flow(pair, "m1", priority=priority)
    (one,) = pair.fetch(BOB)
    take_over(pair)
    assert pair.settle(BOB, acks=[one.receipt]) == []
    assert pair.fetch(BOB) == []


def test_a_receipt_is_stale_once_its_message_was_put_off(pair: Harness) -> None:
    flow(pair, "m1")
    (one,) = pair.fetch(BOB)
    pair.settle(BOB, nacks=[[*one.receipt, 5000, None]])
    take_over(pair)
    assert pair.settle(BOB, acks=[one.receipt]) == [one.receipt[0]]
    pair.advance(6)
    assert _ids(pair.fetch(BOB)) == ["m1"]


def test_a_receipt_that_is_said_twice_in_one_breath_counts_once(pair: Harness) -> None:
    flow(pair, "m1", "m2")
    first, second = pair.fetch(BOB)
    (seq, attempt), (next_, _) = first.receipt, second.receipt
    acks = [seq, 1, attempt, seq, 2, attempt, next_, 0, attempt]
    done = pair.say(BOB, Settle(pair.ref(), acks, [], [], []))
    assert only(done, Settled).stale == []
    assert pair.counters()["acked"] == 2


def test_a_run_of_receipts_may_be_good_in_part(pair: Harness) -> None:
    flow(pair, "m1", "m2", "m3")
    mail = pair.fetch(BOB)
    pair.settle(BOB, acks=[mail[1].receipt])
    stale = pair.settle(BOB, acks=[one.receipt for one in mail])
    assert stale == [mail[1].receipt[0]]
    assert pair.fetch(BOB) == []


def test_what_came_back_and_was_given_again_is_not_released_by_who_had_it(
    pair: Harness,
) -> None:
    flow(pair, "m1")
    (one,) = pair.fetch(BOB)
    pair.hello(BOB2)
    pair.lose(BOB)
    (again,) = pair.credit(BOB2, 5)
    assert pair.settle(BOB2, releases=[one.receipt]) == [one.receipt[0]]
    assert pair.settle(BOB2, acks=[again.receipt]) == []


# --- what an extension does ----------------------------------------------------------


def test_a_lease_that_another_session_extends_counts_against_its_credit(
    pair: Harness,
) -> None:
    flow(pair, "m1", "m2", "m3")
    (one,) = pair.credit(BOB, 1)
    pair.hello(BOB2)
    settle = Settle(pair.ref(), [], [], [[*one.receipt, 60_000]], [])
    done = pair.say(BOB2, settle)
    assert _ids(delivered(done, BOB)) == ["m2"]
    assert pair.credit(BOB2, 1) == []
    assert _ids(pair.credit(BOB2, 2)) == ["m3"]


def test_a_lease_taken_up_after_a_takeover_counts_against_credit_too(
    pair: Harness,
) -> None:
    flow(pair, "m1", "m2")
    (one,) = pair.credit(BOB, 1)
    take_over(pair)
    assert pair.settle(BOB, extends=[[*one.receipt, 60_000]]) == []
    assert pair.credit(BOB, 1) == []
    assert _ids(pair.credit(BOB, 2)) == ["m2"]


def test_an_extension_is_from_now_and_may_be_shorter(pair: Harness) -> None:
    flow(pair, "m1")
    (one,) = pair.credit(BOB, 1, lease_s=60)
    assert pair.settle(BOB, extends=[[*one.receipt, 2000]]) == []
    assert delivered(pair.advance(1.9), BOB) == []
    (again,) = delivered(pair.advance(0.2), BOB)
    assert again.receipt == (one.receipt[0], one.receipt[1] + 1)


def test_a_lease_that_nobody_holds_any_more_runs_out_in_its_time(pair: Harness) -> None:
    flow(pair, "m1")
    pair.credit(BOB, 1, lease_s=10)
    pair.hello(BOB2)
    assert pair.credit(BOB2, 1) == []
    pair.bye(BOB, keep_leases=True)
    for _ in range(2):
        assert delivered(pair.advance(4), BOB2) == []
        pair.ping(BOB2)
    assert _ids(delivered(pair.advance(3), BOB2)) == ["m1"]


def test_what_another_session_holds_can_be_extended_by_its_id(pair: Harness) -> None:
    """And stays with who holds it."""
    flow(pair, "m1", "m2")
    (one,) = pair.credit(BOB, 1, lease_s=3)
    pair.hello(BOB2)
    assert pair.call(BOB2, "settle", "extend", "m1", 5000, None) == []
    assert delivered(pair.advance(4), BOB) == []
    assert _ids(pair.credit(BOB2, 1)) == ["m2"]
    assert pair.settle(BOB, acks=[one.receipt]) == []


# --- what is given back --------------------------------------------------------------


def test_of_what_is_given_back_what_is_stale_stops_nothing(pair: Harness) -> None:
    flow(pair, "m1", "m2", "m3")
    one, two, three = (mail.receipt for mail in pair.fetch(BOB))
    assert pair.settle(BOB, acks=[two]) == []
    assert pair.settle(BOB, releases=[one, two, three]) == [two[0]]
    assert _ids(pair.fetch(BOB)) == ["m1", "m3"]


def test_a_lease_taken_up_after_a_takeover_is_delivered_to_nobody_else(
    pair: Harness,
) -> None:
    """Although the broker has read it already, to hand it out next."""
    flow(pair, "m1", "m2", "m3")
    _, two, _ = pair.fetch(BOB)
    take_over(pair)
    pair.hello(BOB2)
    assert _ids(pair.credit(BOB2, 1)) == ["m1"]
    assert pair.settle(BOB, extends=[[*two.receipt, 60_000]]) == []
    assert _ids(pair.credit(BOB2, 9)) == ["m3"]


@pytest.mark.parametrize("how", ["lose", "nack", "run out"])
def test_a_reply_that_its_reader_had_no_luck_with_goes_to_who_awaits_it(
    pair: Harness, how: str
) -> None:
    pair.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1"))
    (one,) = pair.credit(ALICE, 1, lease_s=2)
    pair.credit(ALICE, 0)
    pair.hello(b"alice/2")
    assert pair.call(b"alice/2", "await", "q1") == [False]
    if how == "lose":
        done = pair.lose(ALICE)
    elif how == "nack":
        settle = Settle(pair.ref(), [], [[*one.receipt, 0, None]], [], [])
        done = pair.say(ALICE, settle)
    else:
        done = pair.advance(2.5)
    assert _ids(delivered(done, b"alice/2")) == ["r1"]


def test_without_history_nothing_is_kept_of_what_was_acked() -> None:
    for history_ms, kept in ((0, []), (86_400_000, ["m1"])):
        bus = Harness(Settings(history_ms=history_ms))
        bus.join_up("alice", "bob")
        flow(bus, "m1")
        (one,) = bus.fetch(BOB)
        bus.settle(BOB, acks=[one.receipt])
        rows = bus.call(BOB, "history", 10, None, None, None, 100)[0]
        assert [row[3][0] for row in rows] == kept
        bus.close()
