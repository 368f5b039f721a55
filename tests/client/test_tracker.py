"""The tracker against the real core: sends, and what a connection is for."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.client.message import RELEASE
from ipcbus.client.pending import Pending
from ipcbus.errors import (
    Disconnected,
    NotPermitted,
    UnknownRecipient,
    VersionMismatch,
)
from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_client, encode
from ipcbus.protocol.messages import (
    Bye,
    Call,
    ClientMessage,
    Closed,
    Credit,
    Hello,
    Ping,
    Send,
    Settle,
    Welcome,
)
from ipcbus.testing import MemoryLink
from tests.client.bus import Bus, said, verbs

# --- sends ---


def test_sends_that_wait_go_out_in_one_frame_and_are_accepted(bus: Bus) -> None:
    under_way = [bus.alice.submit("bob", str(n)) for n in range(100)]
    messages = said(bus.alice)
    assert verbs(messages) == [Send]
    bus.alice.cut()
    bus.broker.settle_down()
    assert all(sending.result(0).state == "accepted" for sending in under_way)


def test_one_message_that_is_refused_does_not_stop_the_others(bus: Bus) -> None:
    good, bad, last = (bus.alice.submit(to) for to in ("bob", "nobody", "bob"))
    bus.broker.settle_down()
    assert good.result(0).to == last.result(0).to == "bob"
    with pytest.raises(UnknownRecipient):
        bad.result(0)


def test_no_more_than_a_window_is_under_way(bus: Bus) -> None:
    for _ in range(limits.SEND_WINDOW + 100):
        bus.alice.submit("bob")
    bus.alice.speak()
    assert bus.alice.tracker.outbox.flying_messages == limits.SEND_WINDOW
    assert max(len(s) for s in bus.alice.tracker.outbox.flying.values()) <= 1024
    bus.broker.settle_down()
    assert not bus.alice.tracker.is_busy()


def test_frames_keep_the_bounds_of_bytes(bus: Bus) -> None:
    for _ in range(40):
        bus.alice.submit("bob", "x" * 100_000)
    bus.alice.submit("bob", "y" * limits.MAX_BODY)
    bus.alice.submit("bob", "z" * 10, data={"k": "v" * 60_000})
    for head, body in bus.alice.tracker.say():
        assert len(head) <= limits.MAX_HEAD
        assert len(body) <= max(limits.BATCH_BYTES, limits.MAX_BODY)
        assert len(body) <= limits.MAX_FRAME


def test_a_head_never_outgrows_its_bound(bus: Bus) -> None:
    for number in range(64):
        bus.alice.submit("bob", str(number), data="v" * 16_000, thread="t" * 64)
    for head, _ in bus.alice.tracker.say():
        assert len(head) <= limits.MAX_HEAD


def test_what_was_not_answered_is_said_again_with_the_same_ids(bus: Bus) -> None:
    first = [bus.alice.submit("bob", str(n)) for n in range(5)]
    bus.alice.speak()
    bus.alice.arrive()
    bus.alice.cut()  # the broker has them, and its answer is lost
    second = bus.alice.submit("bob", "5")
    bus.bob.read()
    bus.broker.settle_down()
    assert all(sending.result(0).again for sending in first)
    assert second.result(0).state == "accepted"
    assert [m.body for m in bus.bob.take()] == [str(n) for n in range(6)]


# --- the order on a new connection ---


def test_after_a_takeover_all_is_said_in_the_agreed_order(bus: Bus) -> None:
    for n in range(3):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    acked, held, _ = bus.bob.take()
    acked.ack()
    bus.bob.wait_for("some-id")
    bus.bob.submit("alice", "x")
    list(bus.bob.tracker.say())  # said, and lost on the way
    bus.broker.takeover()
    bus.bob.connect()
    assert verbs(said(bus.bob)) == [Hello]
    welcome = Welcome(1, 0, "dev", 9, 1, "bob", "agent", 0)
    bus.bob.tracker.heard(*encode(welcome), bus.clock.mono)
    settle, call, credit, send = said(bus.bob)
    assert isinstance(settle, Settle)
    assert isinstance(call, Call)
    assert isinstance(credit, Credit)
    assert isinstance(send, Send)
    assert settle.acks == [acked.seq, 1, acked.attempt]
    assert [held.seq, held.attempt, 60_000] in settle.extends
    assert (call.name, call.args) == ("await", ["some-id"])


def test_sends_go_before_acks_in_the_middle_of_a_connection(bus: Bus) -> None:
    bus.alice.submit("bob", "question")
    bus.bob.read()
    bus.broker.settle_down()
    (question,) = bus.bob.take()
    question.ack()
    bus.bob.submit("alice", "answer")
    assert verbs(said(bus.bob)) == [Send, Settle]


def test_a_delivery_that_is_held_survives_a_takeover(bus: Bus) -> None:
    bus.alice.submit("bob", "work")
    bus.bob.read()
    bus.broker.settle_down()
    (work,) = bus.bob.take()
    bus.broker.takeover()
    bus.broker.settle_down()
    assert bus.bob.take() == []  # it did not come a second time
    ack = work.ack()
    bus.broker.settle_down()
    assert ack.result(0) is None


def test_what_is_asked_of_a_lease_while_cut_off_is_the_last_word(bus: Bus) -> None:
    bus.alice.submit("bob", "work")
    bus.bob.read()
    bus.broker.settle_down()
    (work,) = bus.bob.take()
    bus.bob.cut()
    work.extend(600)
    bus.broker.settle_down()
    bus.clock.advance(120)
    bus.bob.tick()
    bus.broker.settle_down()
    assert bus.bob.take() == [], "it is held still"
    assert work.until - bus.clock.now().mono > 400
    ack = work.ack()
    bus.broker.settle_down()
    assert ack.result(0) is None


def test_what_is_only_given_back_is_no_reason_to_start_a_broker(bus: Bus) -> None:
    for n in range(3):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    (seen,) = bus.bob.take(1)
    bus.clock.advance(31)
    bus.bob.tick()  # the unread ones go back
    bus.bob.cut()
    assert [one.action for one in bus.bob.tracker.settling.waiting] == [RELEASE] * 2
    assert not bus.bob.tracker.has_work()
    seen.ack()
    assert bus.bob.tracker.has_work()


def test_an_ack_overtakes_the_word_that_its_message_is_held(bus: Bus) -> None:
    bus.alice.submit("bob", "work")
    bus.bob.read()
    bus.broker.settle_down()
    (work,) = bus.bob.take()
    bus.bob.tracker.intake.hold_on(bus.clock.now().mono)
    ack = work.ack()  # before anything of it is said
    bus.broker.settle_down()
    assert ack.result(0) is None


def test_an_ack_whose_answer_was_lost_is_said_again(bus: Bus) -> None:
    bus.alice.submit("bob", "work")
    bus.bob.read()
    bus.broker.settle_down()
    (work,) = bus.bob.take()
    work.ack()
    bus.bob.speak()  # under way
    bus.broker.takeover()
    bus.broker.settle_down()
    bus.clock.advance(3600)
    bus.bob.tick()
    bus.broker.settle_down()
    assert bus.bob.take() == []


def test_unread_deliveries_are_dropped_and_come_again(bus: Bus) -> None:
    for n in range(10):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    (first,) = bus.bob.take(1)
    bus.broker.takeover()
    assert not bus.bob.tracker.intake.buffer
    bus.broker.settle_down()
    assert [m.body for m in bus.bob.take()] == [str(n) for n in range(1, 10)]
    assert first.body == "0"


def test_calls_that_may_be_repeated_are_and_others_end(bus: Bus) -> None:
    asked, renamed = bus.alice.call("agents", 0), bus.alice.call("rename", None, "al")
    bus.alice.speak()
    bus.alice.cut()
    with pytest.raises(Disconnected, match="rename"):
        renamed.result(0)
    bus.broker.settle_down()
    assert [row[0] for row in asked.result(0)[0][0]] == ["alice", "bob"]


# --- the connection ---


def test_a_client_with_nothing_to_say_pings(bus: Bus) -> None:
    bus.clock.advance(limits.PING_S)
    bus.alice.tick()
    assert verbs(said(bus.alice)) == [Ping]


def test_a_silent_broker_is_given_up_after_some_pings(bus: Bus) -> None:
    for _ in range(limits.PINGS_MISSED):
        assert bus.alice.peer is not None
        bus.clock.advance(limits.PING_S)
        bus.alice.tick()
    bus.clock.advance(limits.PING_S)
    bus.alice.tick()
    assert isinstance(bus.alice.lost, Disconnected)


def test_a_process_that_slept_for_an_hour_is_not_cut_off(bus: Bus) -> None:
    bus.clock.advance(3600)
    bus.alice.tick()
    assert bus.alice.peer is not None


def test_another_major_version_is_told_apart(bus: Bus) -> None:
    bus.alice.cut()
    bus.alice.connect()
    welcome = Welcome(9, 0, "dev", 1, 1, "alice", "agent", 0)
    with pytest.raises(VersionMismatch):
        bus.alice.tracker.heard(*encode(welcome), bus.clock.mono)


def test_closed_says_why(bus: Bus) -> None:
    closed = Closed(*NotPermitted(reason="your key was revoked").to_wire())
    with pytest.raises(NotPermitted, match="revoked"):
        bus.alice.tracker.heard(*encode(closed), bus.clock.mono)


def test_bye_comes_after_all_answers_and_counts_what_was_shown(bus: Bus) -> None:
    for n in range(3):
        bus.alice.submit("bob", str(n))
    bus.bob.read()
    bus.broker.settle_down()
    acked, _ = bus.bob.take(2)
    acked.ack()
    bus.bob.tracker.leave(keep_leases=False)
    assert Bye not in verbs(said_and_let_through(bus.bob))
    while bus.bob.hear():
        pass
    assert verbs(said(bus.bob)) == [Bye]
    assert bus.bob.tracker.left
    other = MemoryLink(bus.broker, "bob")
    other.read()
    bus.broker.links.remove(bus.bob)
    bus.broker.settle_down()
    assert [(m.body, m.attempt) for m in other.take()] == [("1", 2), ("2", 1)]


def said_and_let_through(link: MemoryLink) -> list[ClientMessage]:
    link.speak()
    messages = [decode_client(*frames) for frames in link.up]
    link.arrive(len(link.up))
    return messages


def test_leaving_gives_back_what_a_fetch_has_and_takes_no_more(bus: Bus) -> None:
    bus.alice.submit("bob", "0")
    bus.broker.settle_down()
    fetch = bus.bob.fetch(5, wait_s=10)
    bus.bob.speak()
    bus.bob.arrive()
    bus.bob.hear()  # the delivery, and not yet the answer
    bus.bob.tracker.leave(keep_leases=True)
    bus.bob.read()
    for _ in range(4):
        bus.bob.step()
    assert bus.bob.tracker.left
    assert not fetch.done()
    bus.bob.tracker.fail(Disconnected(network="dev", reason="closed"))
    with pytest.raises(Disconnected):
        fetch.result(0)
    bus.broker.links.remove(bus.bob)
    other = MemoryLink(bus.broker, "bob")
    other.read()
    bus.broker.settle_down()
    assert [(m.body, m.attempt) for m in other.take()] == [("0", 1)]


def test_when_there_is_no_hope_everybody_is_told(bus: Bus) -> None:
    waiting: list[Pending[Any]] = [
        bus.alice.submit("bob"),
        bus.alice.call("agents", 0),
        bus.alice.wait_for("q"),
        bus.alice.fetch(1),
    ]
    bus.alice.tracker.fail(NotPermitted(reason="revoked"))
    for pending in waiting:
        with pytest.raises(NotPermitted):
            pending.result(0)
