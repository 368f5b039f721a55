"""The loop guard without a broker: what it stops, and what it never touches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker.events import Now
from ipcbus.broker.guards import LONGEST_STOP_S, STOP_S, WINDOW_S, Guards
from ipcbus.broker.rounds import ASKED_BACK, Node, Recent, Said
from ipcbus.broker.settings import Settings
from ipcbus.errors import LoopStopped, Repeated
from ipcbus.protocol.messages import ACK, INFORM, REPLY, REQUEST

DEFAULTS = Settings()
PAIR = DEFAULTS.guard_pair
A, B, C, D = 1, 2, 3, 4
ROOM = "#room"
NAMES: dict[Node, str] = {A: "ann", B: "bob", C: "cy", D: "di"}


class Message(NamedTuple):
    id: str
    sender: Node
    to: Node


class Talk:
    """Some who talk; each message has an id and, if nothing is said, its own words."""

    def __init__(
        self, settings: Settings = DEFAULTS, readers: tuple[Node, ...] = (A, B, C, D)
    ) -> None:
        self.guards = Guards(settings, lambda node: NAMES.get(node, str(node)))
        self.mono = 1000.0
        self.readers = readers
        self.count = 0

    @property
    def now(self) -> Now:
        return Now(self.mono, int(self.mono * 1000))

    def say(
        self,
        sender: Node,
        to: Node,
        reply_to: str | None = None,
        kind: str = "",
        words: str = "",
        thread: str | None = None,
        after: float = 0.01,
    ) -> str:
        self.mono += after
        self.count += 1
        id_ = f"m{self.count}"
        kind = kind or (INFORM if reply_to is None else REPLY)
        said = Said(sender, to, kind, thread, reply_to)
        spoken = None, (words or id_).encode()
        seen = self.guards.look(said, id_, spoken, self.now, self.readers.__contains__)
        self.guards.note(said, seen, [id_], spoken, self.now)
        return id_


def turns_until_stopped(step: Callable[[int], object], most: int = 500) -> int:
    """How often `step` is done before it is stopped."""
    for number in range(most):
        try:
            step(number)
        except LoopStopped:
            return number
    return most


# --- what is never touched -----------------------------------------------------------

ends = st.tuples(st.integers(1, 4), st.integers(1, 4))
gaps = st.sampled_from([0.0, 0.001, 1.0, 100.0])


@given(
    st.lists(st.tuples(ends, st.sampled_from(["same", ""]), gaps, st.booleans())),
    st.booleans(),
)
def test_streams_that_never_come_back_are_never_stopped(
    sends: list[tuple[tuple[int, int], str, float, bool]], has_thread: bool
) -> None:
    talk = Talk()
    for (one, other), words, gap, is_request in sends * 3:
        low, high = min(one, other), max(one, other)
        kind = REQUEST if is_request else INFORM
        thread = "t" if has_thread else None
        talk.say(low, high, None, kind, words, thread, after=gap)


@given(st.lists(st.tuples(ends, gaps, st.integers(0, 5)), max_size=60))
def test_requests_and_their_answers_are_never_stopped(
    calls: list[tuple[tuple[int, int], float, int]],
) -> None:
    """In any direction, answered in any order, with streams one way between."""
    talk = Talk()
    asked: list[Message] = []
    for (one, other), gap, place in calls * 3:
        id_ = talk.say(one, other, None, REQUEST, "work", after=gap)
        asked.append(Message(id_, one, other))
        if one < other:
            talk.say(one, other, words="news")
        if place < len(asked):
            done = asked.pop(place)
            talk.say(done.to, done.sender, done.id, words="done")


def test_a_stream_is_as_free_as_its_answers_and_acks() -> None:
    talk = Talk()
    for _ in range(1000):
        id_ = talk.say(A, B, words="tick")
        talk.say(B, A, id_, ACK, words="got it")


def test_requests_that_wait_for_their_answers_are_free_in_both_directions() -> None:
    talk = Talk()
    waiting: deque[Message] = deque()
    for at in range(1000):
        one, other = ((A, B), (B, A))[at % 2]
        waiting.append(Message(talk.say(one, other, kind=REQUEST), one, other))
        if len(waiting) > 16:
            done = waiting.popleft()
            talk.say(done.to, done.sender, done.id)


def test_many_answers_to_one_request_are_free() -> None:
    talk = Talk()
    asked = talk.say(A, B, kind=REQUEST)
    for _ in range(1000):
        talk.say(B, A, asked, words="still at it")


def test_who_publishes_and_does_not_read_answers_nobody() -> None:
    talk = Talk(readers=(D,))
    for _ in range(1000):
        for publisher in (A, B, C):
            talk.say(publisher, ROOM, words="fine")


def test_who_reports_every_few_seconds_may_read_the_reports_of_others() -> None:
    everyone = tuple(range(1, 21))
    talk = Talk(readers=everyone)
    for _ in range(60):
        for reporter in everyone:
            talk.say(reporter, ROOM, after=3.1 / 20)


def test_a_hub_and_its_workers_are_free_when_work_is_asked_for() -> None:
    talk = Talk()
    for _ in range(500):
        for worker in (B, C, D):
            id_ = talk.say(A, worker, kind=REQUEST)
            talk.say(worker, A, id_)


# --- what is stopped -----------------------------------------------------------------


@given(
    ring=st.sampled_from([(A, B), (A, B, C)]),
    replies=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    tokens=st.integers(1, 3),
    gap=st.sampled_from([0.0, 0.01, 0.5]),
    words=st.sampled_from(["", "thanks!"]),
)
def test_whoever_answers_everything_is_stopped_within_the_limit(
    ring: tuple[int, ...],
    replies: tuple[bool, bool, bool],
    tokens: int,
    gap: float,
    words: str,
) -> None:
    """Each gives what it gets to the next, as an answer or as something fresh."""
    talk = Talk()
    after = dict(zip(ring, (*ring[1:], ring[0]), strict=True))
    mail: deque[Message] = deque()
    for _ in range(tokens):
        mail.append(Message(talk.say(ring[0], ring[1]), ring[0], ring[1]))
    accepted = tokens
    while mail and accepted < 1000:
        got = mail.popleft()
        me, to = got.to, after[int(got.to)]
        reply_to = got.id if replies[ring.index(int(me))] else None
        try:
            id_ = talk.say(me, to, reply_to, words=words, after=gap)
        except (LoopStopped, Repeated):
            continue
        accepted += 1
        mail.append(Message(id_, me, to))
    assert not mail
    # All that goes in one direction before it is answered is one turn, and of a round
    # in which only some answer with `reply_to` their answers are free.
    assert accepted <= tokens * (2 * PAIR + 2 * len(ring))


@given(
    people=st.sampled_from([(A, B), (A, B, C), (A, B, C, D)]),
    replies=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_all_who_answer_everything_in_a_room_are_stopped(
    people: tuple[int, ...], replies: bool, seed: int
) -> None:
    talk, order = Talk(readers=people), Random(seed)
    first = talk.say(A, ROOM)
    mail = [(reader, first) for reader in people if reader != A]
    accepted = 1
    while mail and accepted < 2000:
        reader, got = mail.pop(order.randrange(len(mail)))
        try:
            id_ = talk.say(reader, ROOM, got if replies else None)
        except LoopStopped:
            continue
        accepted += 1
        mail += [(other, id_) for other in people if other != reader]
    assert not mail
    assert accepted < 10 * len(people) * PAIR


def test_a_pair_takes_as_many_turns_a_minute_as_are_allowed() -> None:
    talk = Talk()
    talk.say(A, B)
    talk.say(B, A)
    ends = ((A, B), (B, A))
    assert turns_until_stopped(lambda at: talk.say(*ends[at % 2])) == PAIR


def test_a_slow_talk_goes_on() -> None:
    talk = Talk()
    gap = WINDOW_S / PAIR + 0.1
    ends = ((A, B), (B, A))
    assert turns_until_stopped(lambda at: talk.say(*ends[at % 2], after=gap)) == 500


def test_a_chain_of_answers_ends_when_its_thread_has_had_its_turns() -> None:
    talk = Talk()
    last = [talk.say(A, B)]

    def answer(at: int) -> None:
        ends = ((B, A), (A, B))[at % 2]
        last[0] = talk.say(*ends, last[0], after=10.0)

    # The first is free: it answers no answer.
    assert turns_until_stopped(answer) == DEFAULTS.guard_thread + 1
    with pytest.raises(LoopStopped) as stopped:
        answer(0)
    assert stopped.value.until_ms == 0
    assert len(talk.guards.trips) == 1, "people are told once"
    assert talk.guards.trips[0].thread == "m1"
    talk.say(A, B, thread="another", after=10.0)


def test_turns_of_a_thread_are_counted_whatever_the_pair() -> None:
    talk = Talk(DEFAULTS.__class__(guard_thread=6))
    ends = ((A, B), (B, A))
    count = turns_until_stopped(lambda at: talk.say(*ends[at % 2], thread="t"))
    assert count == 2 + 6


def test_the_same_words_are_refused_at_their_second_repetition() -> None:
    talk = Talk()
    talk.say(A, B)
    talk.say(B, A)
    for _ in range(DEFAULTS.guard_repeats):
        talk.say(A, B, words="thank you!")
        talk.say(B, A)
    with pytest.raises(Repeated, match="bob was sent these very words 2 times"):
        talk.say(A, B, words="thank you!")
    talk.say(A, B, words="something else")


def test_a_round_through_a_room_and_in_private_is_stopped() -> None:
    talk = Talk()

    def both(_: int) -> None:
        talk.say(A, ROOM)
        talk.say(B, A)

    assert turns_until_stopped(both) <= PAIR + 1


def test_an_agent_that_answers_itself_is_stopped() -> None:
    talk = Talk()
    last = [talk.say(A, A)]

    def answer(_: int) -> None:
        last[0] = talk.say(A, A, last[0])

    assert turns_until_stopped(answer) <= PAIR + 2
    assert "ann and itself" in talk.guards.trips[0].reason


@pytest.mark.parametrize("kind", [INFORM, REQUEST])
def test_answering_the_first_message_over_and_over_is_no_way_out(kind: str) -> None:
    talk = Talk()
    first = talk.say(A, B, kind=kind)
    ends = ((B, A), (A, B))
    count = turns_until_stopped(lambda at: talk.say(*ends[at % 2], first))
    assert count <= PAIR + 5


def test_agents_that_ask_back_and_never_answer_are_stopped() -> None:
    talk = Talk()
    ends = ((A, B), (B, A))
    count = turns_until_stopped(
        lambda at: talk.say(*ends[at % 2], kind=REQUEST, thread="t")
    )
    assert count == ASKED_BACK + PAIR
    talk.say(A, C, kind=REQUEST)


def test_a_longer_round_is_known_by_its_chain_of_answers() -> None:
    talk = Talk()
    ring = (A, B, C, D)
    last = [talk.say(A, B)]

    def on(at: int) -> None:
        me, to = ring[(at + 1) % 4], ring[(at + 2) % 4]
        last[0] = talk.say(me, to, last[0])

    assert turns_until_stopped(on) <= PAIR + 5


def test_a_foreign_agent_counts_as_one_of_here() -> None:
    talk = Talk()
    ends: tuple[tuple[Node, Node], ...] = ((A, "eve@prod"), ("eve@prod", A))
    assert turns_until_stopped(lambda at: talk.say(*ends[at % 2])) <= PAIR + 2


# --- stopped, and let go again -------------------------------------------------------


def _loop(talk: Talk) -> int:
    ends = ((A, B), (B, A))
    return turns_until_stopped(lambda at: talk.say(*ends[at % 2]))


def test_each_stop_is_twice_as_long_as_the_one_before() -> None:
    talk = Talk()
    stops = []
    for _ in range(9):
        _loop(talk)
        trip = talk.guards.trips[-1]
        stops.append(round(trip.until_ms / 1000 - talk.mono))
        talk.mono = trip.until_ms / 1000 + 0.1
    assert stops[:4] == [STOP_S, 2 * STOP_S, 4 * STOP_S, 8 * STOP_S]
    assert stops[-1] == LONGEST_STOP_S
    talk.mono += LONGEST_STOP_S
    _loop(talk)
    assert round(talk.guards.trips[-1].until_ms / 1000 - talk.mono) == STOP_S


def test_while_a_round_is_stopped_others_and_requests_go_on() -> None:
    talk = Talk()
    _loop(talk)
    talk.say(A, C)
    talk.say(C, B)
    talk.say(A, B, kind=REQUEST)
    with pytest.raises(LoopStopped, match=r"ann and bob answered each other 20 times"):
        _ = [talk.say(*ends) for ends in ((A, B), (B, A), (A, B))]


def test_status_tells_of_rounds_and_of_whose_they_are() -> None:
    talk = Talk()
    _loop(talk)
    talk.say(C, D)
    talk.say(D, C)
    talk.say(C, D)
    stopped, busy = talk.guards.status(talk.now, None)["rounds"]
    assert stopped["agents"] == ["ann", "bob"]
    assert stopped["until_ms"] == talk.guards.trips[0].until_ms
    assert busy == {"agents": ["cy", "di"], "turns": 1, "until_ms": 0}
    assert talk.guards.status(talk.now, C)["rounds"] == [busy]
    talk.mono += LONGEST_STOP_S * 2
    assert talk.guards.status(talk.now, None)["rounds"] == []


def test_nothing_is_stopped_if_all_bounds_are_0() -> None:
    talk = Talk(DEFAULTS.__class__(guard_pair=0, guard_thread=0, guard_repeats=0))
    ends = ((A, B), (B, A))
    step = turns_until_stopped(lambda at: talk.say(*ends[at % 2], None, words="x"))
    assert step == 500


def test_what_is_remembered_is_bounded_and_the_latest() -> None:
    recent: Recent[int, int] = Recent(3)
    for number in (1, 2, 3, 1, 4):
        recent.put(number, number)
    assert list(recent) == [3, 1, 4]
