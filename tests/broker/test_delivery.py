"""Leases, settling, redelivery: section "Delivery" of PROTOCOL.md."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.ends import Ends
from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import Answer, Credit, Send, Settle
from ipcbus.protocol.pieces import runs
from tests.broker.harness import OPERATOR, Delivered, Harness, delivered, draft, only

ALICE, BOB, BOB2, CAROL = b"alice", b"bob", b"bob/2", b"carol"


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob")


def _send(bus: Harness, *ids: str, **fields: Any) -> None:
    assert bus.send(ALICE, *(draft(id_, "bob", **fields) for id_ in ids)) == []


def _ids(found: list[Delivered]) -> list[str]:
    return [one.header.id for one in found]


def test_a_waiting_message_is_delivered_when_credit_comes(bus: Harness) -> None:
    _send(bus, "m1", "m2")
    found = bus.credit(BOB, 10)
    assert _ids(found) == ["m1", "m2"]
    assert [one.receipt[1] for one in found] == [1, 1]
    assert found[0].header.sender == "alice"


def test_a_receiver_that_waits_is_served_in_the_turn_of_the_send(bus: Harness) -> None:
    bus.credit(BOB, 10)
    actions = bus.say(ALICE, Send(1, [draft("m1", "bob")], [b"hi"]))
    assert _ids(delivered(actions, BOB)) == ["m1"]


def test_no_more_is_delivered_than_credit_allows(bus: Harness) -> None:
    _send(bus, *(f"m{n}" for n in range(5)))
    assert len(bus.credit(BOB, 2)) == 2
    assert len(bus.credit(BOB, 3)) == 1


def test_credit_is_also_a_bound_in_bytes(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "bob"), body="x" * 1000)
    actions = bus.say(BOB, Credit(1, 10, 1500, 60_000))
    assert _ids(delivered(actions, BOB)) == ["m1"]


def test_the_answer_to_credit_follows_what_it_brought_and_says_what_waits(
    bus: Harness,
) -> None:
    _send(bus, "m1", "m2", "m3")
    actions = bus.say(BOB, Credit(1, 2, 10_000, 60_000))
    assert only(actions, Answer).value == [1]
    assert type(actions[0]).__name__ == "Hand"


def test_an_acked_message_never_comes_again(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.fetch(BOB)
    assert bus.settle(BOB, acks=[one.receipt]) == []
    bus.restart()
    bus.hello(BOB)
    assert bus.fetch(BOB) == []


def test_the_second_ack_of_a_delivery_is_stale(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    assert bus.settle(BOB, acks=[one.receipt]) == [one.receipt[0]]


def test_a_nacked_message_comes_back_in_its_place(bus: Harness) -> None:
    _send(bus, "m1", "m2", "m3")
    first, _ = bus.fetch(BOB, 2)
    bus.settle(BOB, nacks=[[*first.receipt, 0, "busy"]])
    found = bus.credit(BOB, 10)
    assert _ids(found) == ["m1", "m3"]
    assert found[0].receipt[1] == 2


def test_a_nack_with_delay_waits_that_long(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, nacks=[[*one.receipt, 5000, None]])
    assert bus.credit(BOB, 10) == []
    bus.advance(4.0)
    bus.ping(BOB)
    assert _ids(delivered(bus.advance(1.1), BOB)) == ["m1"]


def test_a_lease_that_ran_out_brings_redelivery(bus: Harness) -> None:
    _send(bus, "m1")
    bus.credit(BOB, 1, lease_s=2)
    bus.credit(BOB, 10, lease_s=2)
    (again,) = delivered(bus.advance(2.1), BOB)
    assert again.receipt[1] == 2


def test_an_extended_lease_does_not_run_out(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.credit(BOB, 10, lease_s=2)
    assert bus.settle(BOB, extends=[[*one.receipt, 10_000]]) == []
    assert delivered(bus.advance(5), BOB) == []
    bus.ping(BOB)
    assert len(delivered(bus.advance(5.1), BOB)) == 1


def test_leases_that_are_made_shorter_again_and_again_cost_no_memory(
    bus: Harness,
) -> None:
    bus.join_up("carol")
    _send(bus, "m1")
    assert bus.send(ALICE, draft("m2", "carol")) == []
    (one,) = bus.credit(BOB, 10)
    assert len(bus.credit(CAROL, 10, lease_s=3)) == 1
    for left in range(6_000, 5_000, -1):
        assert bus.settle(BOB, extends=[[*one.receipt, left]]) == []
        assert len(bus.broker._delivery.due) <= 4
    bus.advance(3)
    bus.ping(BOB)
    assert delivered(bus.advance(1.9), BOB) == []
    assert len(delivered(bus.advance(0.2), BOB)) == 1


def test_a_lease_that_was_made_shorter_keeps_no_other_from_running_out(
    bus: Harness,
) -> None:
    bus.join_up("carol")
    _send(bus, "m1")
    assert bus.send(ALICE, draft("m2", "carol")) == []
    (one,) = bus.credit(BOB, 10, lease_s=2)
    assert len(bus.credit(CAROL, 10, lease_s=2.1)) == 1
    assert bus.settle(BOB, extends=[[*one.receipt, 1_900]]) == []
    actions = bus.advance(2.2)
    assert _ids(delivered(actions, BOB)) == ["m1"]
    assert _ids(delivered(actions, CAROL)) == ["m2"]


def test_who_held_what_cannot_end_yet_is_given_the_next(
    bus: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _send(bus, "m1", "m2")
    monkeypatch.setattr(Ends, "can_tell", lambda _: False)
    attempts = Settings().max_attempts
    bus.credit(BOB, 1, lease_s=1)
    for _ in range(attempts - 1):
        assert _ids(delivered(bus.advance(1.1), BOB)) == ["m1"]
        bus.ping(BOB)
    assert _ids(delivered(bus.advance(1.1), BOB)) == ["m2"]


def test_what_a_lost_session_held_goes_to_another_of_the_same_agent(
    bus: Harness,
) -> None:
    _send(bus, "m1", "m2")
    bus.credit(BOB, 10)
    bus.hello(BOB2)
    bus.credit(BOB2, 10)
    found = delivered(bus.lose(BOB), BOB2)
    assert _ids(found) == ["m1", "m2"]
    assert [one.receipt[1] for one in found] == [2, 2]


def test_a_silent_session_is_lost(bus: Harness) -> None:
    _send(bus, "m1")
    bus.credit(BOB, 10)
    bus.hello(BOB2)
    bus.credit(BOB2, 10)
    bus.advance(4)
    bus.ping(BOB2)
    assert _ids(delivered(bus.advance(3), BOB2)) == ["m1"]


def test_a_released_message_was_never_tried(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, releases=[one.receipt])
    (again,) = bus.fetch(BOB)
    assert again.receipt[1] == 1


def test_bye_releases_what_the_session_held(bus: Harness) -> None:
    _send(bus, "m1")
    bus.credit(BOB, 10)
    bus.bye(BOB)
    bus.hello(BOB2)
    (again,) = bus.credit(BOB2, 10)
    assert again.receipt[1] == 1


def test_a_lease_left_standing_can_be_settled_by_id(bus: Harness) -> None:
    _send(bus, "m1")
    bus.credit(BOB, 1)
    bus.bye(BOB, keep_leases=True)
    bus.hello(BOB2)
    assert bus.credit(BOB2, 10) == []
    assert bus.call(BOB2, "settle", "ack", "m1", 0, None) == []
    assert bus.refused(BOB2, "settle", "ack", "m1", 0, None).code == "stale_lease"


def test_after_a_takeover_a_receipt_is_good_while_nobody_else_got_the_message(
    bus: Harness,
) -> None:
    _send(bus, "m1", "m2")
    first, second = bus.credit(BOB, 10)
    bus.restart()
    bus.hello(BOB)
    assert bus.settle(BOB, acks=[first.receipt]) == []
    assert bus.settle(BOB, extends=[[*second.receipt, 60_000]]) == []
    assert bus.credit(BOB, 10) == []
    assert bus.settle(BOB, acks=[second.receipt]) == []


def test_after_a_takeover_a_receipt_is_stale_once_the_message_was_given_again(
    bus: Harness,
) -> None:
    _send(bus, "m1")
    (old,) = bus.credit(BOB, 10)
    bus.restart()
    bus.hello(BOB2)
    (new,) = bus.credit(BOB2, 10)
    assert new.receipt == (old.receipt[0], 2)
    bus.hello(BOB)
    assert bus.settle(BOB, acks=[old.receipt]) == [old.receipt[0]]
    assert bus.settle(BOB2, acks=[new.receipt]) == []


def test_urgent_mail_overtakes_and_order_holds_within_a_priority(bus: Harness) -> None:
    _send(bus, "a1", "a2")
    _send(bus, "b1", "b2", priority=9)
    _send(bus, "c1", priority=0)
    assert _ids(bus.fetch(BOB)) == ["b1", "b2", "a1", "a2", "c1"]


def test_a_long_backlog_is_delivered_in_order_page_by_page(bus: Harness) -> None:
    ids = [f"m{n:05}" for n in range(3000)]
    for at in range(0, 3000, 500):
        _send(bus, *ids[at : at + 500])
    found: list[str] = []
    while batch := bus.fetch(BOB, 700):
        found += _ids(batch)
        bus.settle(BOB, acks=[one.receipt for one in batch])
    assert found == ids


def test_after_max_attempts_a_message_is_a_dead_letter_and_its_sender_is_told(
    bus: Harness,
) -> None:
    _send(bus, "m1")
    for _ in range(Settings().max_attempts):
        (one,) = bus.fetch(BOB)
        bus.settle(BOB, nacks=[[*one.receipt, 0, "no"]])
    assert bus.fetch(BOB) == []
    (bounce,) = bus.fetch(ALICE)
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "m1")
    ((row,), more) = bus.call(BOB, "dead", 10, 0)
    assert (row[0], row[1], row[4], more) == ("bob", "given_up", 5, False)


def test_a_dead_letter_can_be_replayed_and_dropped(bus: Harness) -> None:
    _send(bus, "m1")
    for _ in range(Settings().max_attempts):
        (one,) = bus.fetch(BOB)
        bus.settle(BOB, nacks=[[*one.receipt, 0, None]])
    assert bus.call(OPERATOR, "replay", "m1") == [1]
    (again,) = bus.fetch(BOB)
    assert again.receipt[1] == 1
    bus.settle(BOB, nacks=[[*again.receipt, 0, None]])
    for _ in range(Settings().max_attempts - 1):
        (one,) = bus.fetch(BOB)
        bus.settle(BOB, nacks=[[*one.receipt, 0, None]])
    assert bus.call(BOB, "drop", "m1") == [1]
    assert bus.refused(BOB, "drop", "m1").code == "no_such_message"


def test_a_reply_goes_to_the_session_that_awaits_it(bus: Harness) -> None:
    bus.send(BOB, draft("other", "alice"))
    bus.hello(b"alice/2")
    assert bus.call(b"alice/2", "await", "q1") == [False]
    _send(bus, "q1", kind="request")
    actions = bus.say(
        BOB, Send(9, [draft("r1", "alice", kind="reply", reply_to="q1")], [b"yes"])
    )
    assert _ids(delivered(actions, b"alice/2")) == ["r1"]


def test_a_reply_that_came_before_the_await_is_found(bus: Harness) -> None:
    bus.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1"))
    assert bus.call(ALICE, "await", "q1") == [True]


def test_sessions_of_one_agent_share_its_mail(bus: Harness) -> None:
    bus.hello(BOB2)
    bus.credit(BOB, 100)
    bus.credit(BOB2, 100)
    drafts = [draft(f"m{n}", "bob") for n in range(10)]
    actions = bus.say(ALICE, Send(1, drafts, [b"x"] * 10))
    one, two = delivered(actions, BOB), delivered(actions, BOB2)
    assert len(one) == len(two) == 5


def test_an_extended_lease_survives_the_old_connection_of_its_client(
    bus: Harness,
) -> None:
    _send(bus, "m1")
    (one,) = bus.credit(BOB, 10)
    bus.hello(BOB2)
    assert bus.settle(BOB2, extends=[[*one.receipt, 60_000]]) == []
    bus.lose(BOB)
    assert bus.credit(BOB2, 10) == []
    assert bus.settle(BOB2, acks=[one.receipt]) == []


def test_a_reply_that_comes_back_goes_to_who_awaits_it_now(bus: Harness) -> None:
    bus.call(ALICE, "await", "q1")
    reply = Send(9, [draft("r1", "alice", kind="reply", reply_to="q1")], [b"yes"])
    (one,) = delivered(bus.say(BOB, reply), ALICE)
    assert bus.call(ALICE, "await", "q1") == [False]  # it is leased, to nobody's use
    settle = Settle(1, [], [], [], runs([one.receipt]))
    assert _ids(delivered(bus.say(ALICE, settle), ALICE)) == ["r1"]


def test_a_reply_with_a_delay_is_not_handed_before_its_time(bus: Harness) -> None:
    bus.send(BOB, draft("r1", "alice", kind="reply", reply_to="q1"))
    (one,) = bus.fetch(ALICE)
    bus.call(ALICE, "await", "q1")
    bus.settle(ALICE, nacks=[[*one.receipt, 5000, None]])
    assert bus.call(ALICE, "await", "q1") == [False]
    bus.advance(3)
    bus.ping(ALICE)
    assert _ids(delivered(bus.advance(2.1), ALICE)) == ["r1"]
