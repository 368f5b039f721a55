"""What the citizens wrote down, as a history for the checker of `tests.faults.history`
and as times for the curves.

Names and ids are in full (`d0@dev`). Three things are told to the checker in words of
its own: a message to a topic is one to each of its readers; mail that nobody reads in
time comes back to its sender, and just that is what must come; an answer that was
given twice, by a process that was killed and by the next, may come at either place.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from tests.faults.history import FAILED, OK, UNKNOWN, Acked, Got, Seen, Sent


class Ask(NamedTuple):
    """One who asked for a message to be sent. `kind` as in `citizen.PLAN`."""

    sender: str
    to: str
    id: str
    kind: str


class Times:
    """Seconds that things took since the last look."""

    def __init__(self) -> None:
        self.accepted: list[float] = []
        self.near: list[float] = []
        self.far: list[float] = []
        self.answered: list[float] = []


class Story:
    """What was seen since all was at rest."""

    def __init__(self, readers: dict[str, list[str]]) -> None:
        """`readers`: of each network, those who joined the topic, in full."""
        self._readers = readers
        self.times = Times()
        self.counts: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self._asks: list[Ask] = []
        self._told: dict[str, list[str]] = {}
        self._seen: list[Seen] = []

    def add(self, who: str, rows: list[list[Any]]) -> None:
        """More of what the process called `who` wrote down."""
        for what, *row in rows:
            if what == "ask":
                self._asks.append(Ask(who, *row))
                self.counts[row[2]] += 1
            elif what == "told":
                self._hear(*row)
            elif what == "got":
                self._get(who, *row)
            else:
                self._seen.append(Acked(who, *row))
                self.counts["acked"] += row[1] == OK

    def _hear(self, id_: str, outcome: str, took: float) -> None:
        self._told.setdefault(id_, []).append(outcome)
        self.counts[outcome] += 1
        if outcome == OK:
            self.times.accepted.append(took)

    def _get(
        self,
        who: str,
        sender: str,
        id_: str,
        seq: int,
        attempt: int,
        to: str,
        kind: str,
        age: float,
    ) -> None:
        if kind == "bounce":
            sender, id_ = f"the end of {id_}", f"{id_}!"
        elif to.startswith("#"):
            id_ = f"{id_}>{who}"
        self._seen.append(Got(who, sender, id_, seq, attempt))
        self.counts["delivered"] += 1
        self.counts["again"] += attempt > 1
        if age >= 0:
            self._note(who, sender, kind, age)

    def _note(self, who: str, sender: str, kind: str, age: float) -> None:
        if kind == "reply":
            self.times.answered.append(age)
        elif network_of(who) == network_of(sender):
            self.times.near.append(age)
        else:
            self.times.far.append(age)

    def close(self) -> tuple[list[Sent], list[Seen]]:
        """All of it, for the checker; the next one begins."""
        asked = Counter(ask.id for ask in self._asks)
        sent = [one for ask in self._asks for one in self._sent(ask, asked[ask.id])]
        found = (
            [_free(one) if asked[one.id] > 1 else one for one in sent],
            [_free(one) if asked[one.id] > 1 else one for one in self._seen],
        )
        self._begin()
        return found

    def _sent(self, ask: Ask, asked: int) -> list[Sent]:
        outcome = self._outcome(ask.id, asked)
        if ask.kind == "topic":
            readers = self._readers[network_of(ask.sender)]
            return [
                Sent(ask.sender, one, f"{ask.id}>{one}", outcome)
                for one in readers
                if one != ask.sender
            ]
        if ask.kind == "ttl":
            return [Sent(f"the end of {ask.id}", ask.sender, f"{ask.id}!", outcome)]
        return [Sent(ask.sender, ask.to, ask.id, outcome)]

    def _outcome(self, id_: str, asked: int) -> str:
        """Accepted of one who asked is accepted; whoever was killed before it was told
        may have been."""
        told = self._told.get(id_, [])
        if OK in told:
            return OK
        return FAILED if len(told) == asked else UNKNOWN

    def pop_times(self) -> Times:
        found, self.times = self.times, Times()
        return found


def network_of(full: str) -> str:
    return full.rpartition("@")[2]


def _free(one: Any) -> Any:
    """Of a sender of its own, so that its place among others does not count."""
    if isinstance(one, Acked):
        return one
    return one._replace(sender=f"{one.sender} in {one.id}")
