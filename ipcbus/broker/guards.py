"""The loop guard: how often agents may answer each other. Pure.

`Rounds` finds the turns that close a round; here they are counted. Three bounds, each a
setting, 0 for none:

    guard_pair      turns a minute of those who go round, or of one agent in a topic
                    that it reads. One more, and they are stopped for a minute; each
                    time within an hour for twice as long, up to an hour.
    guard_thread    turns of one thread, or chain of answers, in all its life.
    guard_repeats   which repetition of the same words, in one round, is refused.

What is refused was not stored, and so nobody answers it: the loop ends there. Messages
that close no round are never refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ipcbus.broker.events import Now
from ipcbus.broker.rounds import (
    Hears,
    Members,
    Node,
    Recent,
    Rounds,
    Said,
    Seen,
    is_room,
)
from ipcbus.broker.settings import Settings
from ipcbus.errors import LoopStopped, Repeated

WINDOW_S: Final = 60.0
STOP_S: Final = 60.0
LONGEST_STOP_S: Final = 3600.0
MOST_ROUNDS: Final = 4096
MOST_TALKS: Final = 32_768
MOST_OF_ROUND: Final = 256
"""Words of one round that are remembered, and turns if no setting bounds those. Who
talks on without a quiet minute would fill the memory; what is longer ago is no echo."""

Words = tuple[bytes | None, bytes]
"""What a message says: its packed meta, and its body."""

SHOWN: Final = 50
"""Rounds and threads that `status` lists at most."""


class Trip(NamedTuple):
    """A round or a thread was stopped: what people are told of it."""

    agents: list[str]
    turns: int
    until_ms: int
    thread: str | None
    reason: str


class _Round:
    """Attributes:
    times: of the turns of the last minute, in monotonic seconds.
    until: it is stopped up to then.
    trips: how often it was stopped, and not quiet for an hour after that.
    said: how often each sender said what to whom, by a hash of the words; the latest.
    """

    __slots__ = ("said", "times", "trips", "until")

    def __init__(self, most: int) -> None:
        self.times: deque[float] = deque(maxlen=most)
        self.until = 0.0
        self.trips = 0
        self.said: Recent[tuple[Node, Node, int], int] = Recent(MOST_OF_ROUND)

    def forget(self, mono: float) -> None:
        """What is longer ago than its bounds look back."""
        times = self.times
        if mono - max(self.until, times[-1] if times else 0.0) > LONGEST_STOP_S:
            self.trips = 0
        if times and mono - times[-1] > WINDOW_S:
            self.said.clear()
        while times and mono - times[0] > WINDOW_S:
            times.popleft()

    def stop(self, mono: float) -> float:
        """For how many seconds."""
        self.times.clear()
        self.said.clear()
        self.trips += 1
        seconds = min(STOP_S * 2.0 ** (self.trips - 1), LONGEST_STOP_S)
        self.until = mono + seconds
        return seconds


class Guards:
    """Attributes:
    trips: what was stopped and nobody was told of yet.
    """

    def __init__(self, settings: Settings, name: Callable[[Node], str]) -> None:
        self._pair = settings.guard_pair
        self._thread = settings.guard_thread
        self._repeats = settings.guard_repeats
        self._name = name
        self._found = Rounds()
        self._rounds: Recent[Members, _Round] = Recent(MOST_ROUNDS)
        self._talks: Recent[str, int] = Recent(MOST_TALKS)
        self._ended: Recent[str, None] = Recent(SHOWN)
        """Threads that had all their turns."""
        self.trips: list[Trip] = []

    def can_answer(self, id_: str) -> bool:
        """Whether a message is no ack, as far as is remembered."""
        return id_ not in self._found.acks

    def look(self, said: Said, id_: str, words: Words, now: Now, hears: Hears) -> Seen:
        """`id_` is that of the message. Raises `LoopStopped`, `Repeated`."""
        seen = self._found.look(said, id_, hears)
        if seen.closes:
            self._check_round(said, seen.closes, words, now)
            self._check_talk(seen, now)
        return seen

    def note(
        self, said: Said, seen: Seen, ids: Sequence[str], words: Words, now: Now
    ) -> None:
        """It was accepted, or all of these alike were."""
        self._found.note(said, seen, ids)
        if not seen.closes:
            return
        most = self._pair or MOST_OF_ROUND
        known = self._rounds.get(seen.closes) or _Round(most)
        self._rounds.put(seen.closes, known)
        known.times.append(now.mono)
        mark = (said.sender, said.to, hash(words))
        known.said.put(mark, known.said.get(mark, 0) + 1)
        if seen.talk is not None:
            self._talks.put(seen.talk, self._talks.get(seen.talk, 0) + 1)

    # --- bounds --------------------------------------------------------------------

    def _check_round(
        self, said: Said, members: Members, words: Words, now: Now
    ) -> None:
        known = self._rounds.get(members)
        if known is None:
            return
        known.forget(now.mono)
        if now.mono < known.until:
            raise self._stopped(members, known.until - now.mono, now)
        if self._pair and len(known.times) >= self._pair:
            seconds = known.stop(now.mono)
            error = self._stopped(members, seconds, now)
            self._trip(error, None)
            raise error
        times = known.said.get((said.sender, said.to, hash(words)), 0)
        if self._repeats and times >= self._repeats:
            raise Repeated(to=self._name(said.to), times=times)

    def _stopped(self, members: Members, seconds: float, now: Now) -> LoopStopped:
        names = self._names(members)
        turns = f"{_listed(names)} answered each other {self._pair} times in a minute"
        for room in filter(is_room, members):
            (who,) = self._names(members - {room})
            turns = f"{who} took {self._pair} turns in {room} in a minute"
        return LoopStopped(
            reason=f"{turns}; no more of that is taken for {seconds:.0f} s",
            agents=names,
            turns=self._pair,
            until_ms=now.wall + int(seconds * 1000),
        )

    def _check_talk(self, seen: Seen, now: Now) -> None:
        talk = seen.talk
        if talk is None or not self._thread:
            return
        if self._talks.get(talk, 0) < self._thread:
            return
        names = self._names(seen.closes)
        error = LoopStopped(
            reason=f"{_listed(names)} took {self._thread} turns in thread {talk}, "
            "which are all that it has; what is new begins a new thread",
            agents=names,
            turns=self._thread,
            until_ms=0,
        )
        if talk not in self._ended:
            self._trip(error, talk)
        self._talks.put(talk, self._thread)
        self._ended.put(talk, None)
        raise error

    def _trip(self, error: LoopStopped, thread: str | None) -> None:
        facts = error.facts
        told = facts["agents"], facts["turns"], facts["until_ms"]
        self.trips.append(Trip(*told, thread, facts["reason"]))

    def _names(self, members: Members) -> list[str]:
        return sorted(map(self._name, members), key=str.lower)

    # --- told ------------------------------------------------------------------------

    def status(self, now: Now, member: Node | None) -> dict[str, Any]:
        """The rounds of the last minute and those that are stopped, the busiest first;
        and the threads that have ended. Of one member alone, if one is named."""
        rounds = sorted(self._active(now, member), key=lambda row: -row["turns"])
        rounds.sort(key=lambda row: -row["until_ms"])
        threads = [] if member is not None else list(self._ended)
        return {"rounds": rounds[:SHOWN], "threads": threads}

    def _active(self, now: Now, member: Node | None) -> Iterator[dict[str, Any]]:
        for members, known in self._rounds.items():
            if member is not None and member not in members:
                continue
            known.forget(now.mono)
            left = max(0.0, known.until - now.mono)
            if known.times or left:
                yield {
                    "agents": self._names(members),
                    "turns": len(known.times),
                    "until_ms": now.wall + int(left * 1000) if left else 0,
                }


def _listed(names: list[str]) -> str:
    """For a sentence; one who goes round alone is one who answers itself."""
    if len(names) == 1:
        return f"{names[0]} and itself"
    return f"{', '.join(names[:-1])} and {names[-1]}"
