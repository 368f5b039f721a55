"""The tracker against the real core, over a link that is cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcbus.broker.settings import Settings
from ipcbus.client.pending import Pending
from ipcbus.errors import (
    Disconnected,
    NotPermitted,
    StaleLease,
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
from ipcbus.testing import FakeClock, MemoryBroker, MemoryLink


class Bus:
    """A broker and two agents that are connected."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        # A walk may lose a session more often than a message may be tried.
        self.broker = MemoryBroker(self.clock, settings=Settings(max_attempts=10_000))
        self.alice = MemoryLink(self.broker, "alice")
        self.bob = MemoryLink(self.broker, "bob")
        self.broker.settle_down()


@pytest.fixture
def bus() -> Bus:
    return Bus()


def said(link: MemoryLink) -> list[ClientMessage]:
    """What the client says now, decoded; it does not go on its way."""
    return [decode_client(*frames) for frames in link.tracker.say()]


def verbs(messages: list[ClientMessage]) -> list[type]:
    return [type(message) for message in messages]


# --- sends -----------------------------------------------------------------------


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
    assert {sending.result(0).state for sending in first} == {"duplicate"}
    assert second.result(0).state == "accepted"
    assert [m.body for m in bus.bob.take()] == [str(n) for n in range(6)]


# --- the order on a new connection -----------------------------------------------


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


# --- receiving -------------------------------------------------------------------


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


# --- replies ---------------------------------------------------------------------


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


# --- the connection --------------------------------------------------------------


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


# --- cut anywhere ----------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "submit",
                "speak",
                "arrive",
                "hear",
                "cut",
                "connect",
                "takeover",
                "take",
                "ack",
                "pause",
                "bob",
                "fetch",
            ]
        ),
        st.integers(0, 4),
    ),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_every_send_is_accepted_once_and_in_order_wherever_it_is_cut(
    steps: list[tuple[str, int]],
) -> None:
    """And everything that was sent is received in order; twice only unsettled."""
    bus = Bus()
    walk = Walk(bus)
    for name, number in steps:
        getattr(walk, name)(number)
        bus.alice.tracker.check_invariants()
        bus.bob.tracker.check_invariants()
    walk.finish()


class Walk:
    """A walk through everything that two clients and a network can do."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.sent = 0
        self.under_way = []  # type: ignore[var-annotated]
        self.held = []  # type: ignore[var-annotated]
        self.seen: list[int] = []
        self.fetches = []  # type: ignore[var-annotated]

    def submit(self, number: int) -> None:
        for _ in range(number):
            self.under_way.append(self.bus.alice.submit("bob", str(self.sent)))
            self.sent += 1

    def speak(self, _: int) -> None:
        self.bus.alice.speak()

    def arrive(self, number: int) -> None:
        self.bus.alice.arrive(number)

    def hear(self, _: int) -> None:
        self.bus.alice.hear()

    def connect(self, _: int) -> None:
        self.bus.alice.connect()
        self.bus.bob.connect()

    def cut(self, number: int) -> None:
        # A delivery to a session that is dead and not found out is out of order, as
        # any whose lease is lost; so bob's broker notices, and alice's may not.
        if number % 2:
            self.bus.alice.cut(heard=number, told=number > 2)
        else:
            self.bus.bob.cut(heard=number)

    def takeover(self, _: int) -> None:
        self.bus.broker.takeover()

    def bob(self, number: int) -> None:
        if number == 0:
            self.bus.bob.read()
        elif number == 1:
            self.bus.bob.speak()
        elif number == 2:
            self.bus.bob.arrive(2)
        else:
            self.bus.bob.hear()

    def take(self, number: int) -> None:
        self._took(self.bus.bob.take(number))

    def fetch(self, number: int) -> None:
        self.fetches.append(self.bus.bob.fetch(number + 1))

    def _took(self, messages: list) -> None:  # type: ignore[type-arg]
        for message in messages:
            self.seen.append(int(message.body))
            self.held.append(message)

    def _look_at_fetches(self) -> None:
        for fetch in [fetch for fetch in self.fetches if fetch.done()]:
            self.fetches.remove(fetch)
            self._took(fetch.result(0)[0])

    def ack(self, number: int) -> None:
        self._look_at_fetches()
        for message in self.held[:number]:
            message.ack()
        del self.held[:number]

    def pause(self, number: int) -> None:
        self.bus.clock.advance(number)
        self.bus.broker.turn()
        self.bus.alice.tick()
        self.bus.bob.tick()

    def finish(self) -> None:
        bus = self.bus
        for _ in range(self.sent + 4):
            bus.bob.read()
            bus.broker.settle_down()
            # Sessions that were cut without a word are found out by their silence.
            self.pause(3)
            bus.broker.settle_down()
            self._look_at_fetches()
            self._took(bus.bob.take())
            self.ack(len(self.held))
        bus.broker.settle_down()
        states = {sending.result(0).state for sending in self.under_way}
        assert states <= {"accepted", "duplicate"}
        assert set(self.seen) == set(range(self.sent))
        firsts = list(dict.fromkeys(self.seen))
        assert firsts == sorted(firsts), "first deliveries keep the order of sending"
        status = bus.bob.call("whoami")
        bus.broker.settle_down()
        assert status.result(0)[0][3] == 0, "and nothing is left"
