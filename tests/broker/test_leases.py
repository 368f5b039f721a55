"""Leases in detail: whose turn it is, in which batches, and as which attempt."""

from __future__ import annotations

import pytest

from ipcbus.broker.events import Hand
from ipcbus.protocol.limits import MAX_CREDIT_BYTES
from ipcbus.protocol.messages import Credit, Send, Settle
from ipcbus.protocol.pieces import runs
from tests.broker.harness import Delivered, Harness, delivered, draft

ALICE, BOB, BOB2, BOB3 = b"alice", b"bob", b"bob/2", b"bob/3"


@pytest.fixture
def pair(bus: Harness) -> Harness:
    bus.join_up("alice", "bob")
    return bus


def flow(bus: Harness, *ids: str) -> None:
    assert bus.send(ALICE, *(draft(id_, "bob") for id_ in ids)) == []


def _ids(mail: list[Delivered]) -> list[str]:
    return [one.header.id for one in mail]


def _attempts(mail: list[Delivered]) -> list[int]:
    return [one.receipt[1] for one in mail]


# --- whose turn it is ----------------------------------------------------------------


def test_what_came_back_is_shared_by_all_who_have_room(pair: Harness) -> None:
    flow(pair, "m1", "m2", "m3", "m4")
    assert len(pair.credit(BOB, 4)) == 4
    for other in (BOB2, BOB3):
        pair.hello(other)
        assert pair.credit(other, 4) == []
    done = pair.lose(BOB)
    two, three = delivered(done, BOB2), delivered(done, BOB3)
    assert len(two) == len(three) == 2
    assert sorted([*_ids(two), *_ids(three)]) == ["m1", "m2", "m3", "m4"]


def test_one_reader_gets_all_that_waited_at_once(pair: Harness) -> None:
    """The unit of work is a batch, also for who comes late."""
    flow(pair, "m1", "m2", "m3")
    credit = Credit(pair.ref(), 3, MAX_CREDIT_BYTES, 60_000)
    (hand,) = (one for one in pair.say(BOB, credit) if isinstance(one, Hand))
    assert len(hand.seqs) == 3


def test_what_is_too_big_for_what_is_left_waits_and_is_not_passed(
    pair: Harness,
) -> None:
    """Also when it arrives and its reader waits for mail: what is behind it fits."""
    pair.say(BOB, Credit(pair.ref(), 10, 2000, 60_000))
    drafts = [draft(f"m{n}", "bob") for n in range(3)]
    bodies = [b"x" * 1000, b"x" * 1000, b"x"]
    done = pair.say(ALICE, Send(pair.ref(), drafts, bodies))
    assert _ids(delivered(done, BOB)) == ["m0"]
    later = pair.fetch(BOB)
    assert _ids(later) == ["m1", "m2"]
    assert _attempts(later) == [1, 1]


def test_nor_by_what_is_of_another_kind(pair: Harness) -> None:
    """It is not stored together with it, and still stands behind it."""
    pair.say(BOB, Credit(pair.ref(), 10, 2000, 60_000))
    kinds = ("inform", "inform", "request")
    drafts = [draft(f"m{n}", "bob", kind=kind) for n, kind in enumerate(kinds)]
    bodies = [b"x" * 1000, b"x" * 1500, b"x"]
    first = pair.say(ALICE, Send(pair.ref(), drafts[:1], bodies[:1]))
    rest = pair.say(ALICE, Send(pair.ref(), drafts[1:], bodies[1:]))
    assert _ids([*delivered(first, BOB), *delivered(rest, BOB)]) == ["m0"]
    assert _ids(pair.fetch(BOB)) == ["m1", "m2"]


# --- as which attempt ----------------------------------------------------------------


def test_a_reply_that_waited_comes_to_who_awaits_it_as_its_first_attempt(
    pair: Harness,
) -> None:
    pair.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1"))
    assert pair.call(ALICE, "await", "q1") == [True]
    pair.lose(ALICE)
    pair.hello(ALICE)
    assert _attempts(pair.fetch(ALICE)) == [2]


@pytest.mark.parametrize("early", [True, False])
def test_an_await_is_for_one_reply_and_the_next_waits_for_credit(
    pair: Harness, early: bool
) -> None:
    if not early:
        assert pair.call(ALICE, "await", "q1") == [False]
    first = draft("r1", "alice", kind="reply", reply_to="q1")
    done = pair.say(BOB, Send(pair.ref(), [first], [b"yes"]))
    if early:
        assert delivered(done, ALICE) == []
        assert pair.call(ALICE, "await", "q1") == [True]
    else:
        assert _ids(delivered(done, ALICE)) == ["r1"]
    second = draft("r2", "alice", kind="reply", reply_to="q1")
    done = pair.say(BOB, Send(pair.ref(), [second], [b"no"]))
    assert delivered(done, ALICE) == []
    assert _ids(pair.fetch(ALICE)) == ["r2"]


def test_each_lease_is_an_attempt_whoever_gets_it(pair: Harness) -> None:
    flow(pair, "m1")
    for attempt in (1, 2, 3):
        mail = pair.fetch(BOB)
        assert _attempts(mail) == [attempt]
        pair.lose(BOB)
        pair.hello(BOB)


def test_the_attempts_of_different_messages_are_their_own(pair: Harness) -> None:
    flow(pair, "m1")
    pair.fetch(BOB)
    pair.lose(BOB)
    pair.hello(BOB)
    flow(pair, "m2", "m3")
    mail = pair.fetch(BOB)
    assert dict(zip(_ids(mail), _attempts(mail), strict=True)) == {
        "m1": 2,
        "m2": 1,
        "m3": 1,
    }


def test_attempts_outlive_a_takeover(pair: Harness) -> None:
    flow(pair, "m1")
    pair.fetch(BOB)
    pair.restart()
    pair.hello(ALICE)
    pair.hello(BOB)
    assert _attempts(pair.fetch(BOB)) == [2]


# --- what expired while it was held --------------------------------------------------


def test_what_expired_between_others_is_left_out_and_they_keep_their_order(
    pair: Harness,
) -> None:
    pair.send(ALICE, draft("m1", "bob"), draft("m2", "bob", ttl_ms=1000))
    flow(pair, "m3", "m4")
    assert len(pair.credit(BOB, 4)) == 4
    pair.hello(BOB2)
    pair.credit(BOB2, 9)
    pair.advance(2)
    first = delivered(pair.lose(BOB), BOB2)
    rest = delivered(pair.turn(), BOB2)
    assert _ids([*first, *rest]) == ["m1", "m3", "m4"]
    (bounce,) = pair.fetch(ALICE)
    assert bounce.header.reply_to == "m2"


@pytest.mark.parametrize("how", ["releases", "nacks"])
def test_what_expired_while_it_was_held_ends_when_it_is_given_back(
    pair: Harness, how: str
) -> None:
    """And not when its lease would have run out."""
    pair.send(ALICE, draft("m1", "bob", ttl_ms=1000))
    (one,) = pair.credit(BOB, 1, lease_s=60)
    pair.advance(2)
    if how == "releases":
        pair.settle(BOB, releases=[one.receipt])
    else:
        pair.settle(BOB, nacks=[[*one.receipt, 0, None]])
    pair.turn()
    assert pair.fetch(BOB) == []
    (bounce,) = pair.fetch(ALICE)
    assert bounce.header.reply_to == "m1"


def test_a_reply_whose_time_is_over_is_handed_to_nobody_who_awaits_it(
    pair: Harness,
) -> None:
    pair.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1", ttl_ms=1000))
    (one,) = pair.credit(ALICE, 1, lease_s=60)
    pair.credit(ALICE, 0)
    assert pair.call(ALICE, "await", "q1") == [False]
    pair.advance(2)
    done = pair.say(ALICE, Settle(pair.ref(), [], [], [], runs([one.receipt])))
    assert delivered([*done, *pair.turn()], ALICE) == []
    second = draft("r2", "alice", kind="reply", reply_to="q1")
    done = pair.say(BOB, Send(pair.ref(), [second], [b"yes"]))
    assert _ids(delivered(done, ALICE)) == ["r2"], "it is awaited still"


def test_a_lease_runs_out_at_its_very_end(pair: Harness) -> None:
    flow(pair, "m1")
    pair.credit(BOB, 1, lease_s=4)
    assert _attempts(delivered(pair.advance(4), BOB)) == [2]
