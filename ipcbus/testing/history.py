"""What clients saw, and what it must not contain.

Each client writes down what it asked for and what it was told, and the checker looks
at all of it afterwards, in the manner of Jepsen (https://jepsen.io/consistency). A
send is `ok` (accepted), `failed` (refused, so it did not happen) or `unknown` (nobody
ever said, or not in time): an unknown one may have happened or not, and is never
counted as either.

    history = History()
    history.sends("alice", "bob", "m1")     before it is said
    history.ends("m1", OK)                  or FAILED; else it is unknown
    history.gets("bob", "alice", "m1", seq=1, attempt=1)
    history.acks("bob", "m1", OK)           or STALE, or UNKNOWN
    assert history.violations() == []

Whoever collects the records elsewhere, as from the files of many processes, hands them
to `violations`. Pure: it knows no clock and no bus.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
STALE = "stale"

LOST: Final = "lost"
MADE_UP: Final = "made up"
STORED_TWICE: Final = "stored twice"
ACKED_TWICE: Final = "acked twice"
DISORDERED: Final = "disordered"


class Sent(NamedTuple):
    """A send, in the order of its sender. `at`: when the outcome came, monotonic."""

    sender: str
    to: str
    id: str
    outcome: str
    at: float = 0.0


class Got(NamedTuple):
    """A delivery to an application, in the order of its receiver."""

    receiver: str
    sender: str
    id: str
    seq: int
    attempt: int


class Acked(NamedTuple):
    """What became of an ack: `ok`, `stale` or `unknown`; when it was told."""

    receiver: str
    id: str
    outcome: str


Seen = Got | Acked


class Violation(str):
    """A broken promise as a sentence. `kind`: which one."""

    __slots__ = ("kind",)

    def __new__(cls, kind: str, sentence: str) -> Violation:
        made = super().__new__(cls, sentence)
        made.kind = kind
        return made

    kind: str


def violations(sends: Iterable[Sent], seen: Iterable[Seen]) -> list[str]:
    """Each broken promise as a sentence; see `broken_promises`."""
    return [*broken_promises(sends, seen)]


def broken_promises(
    sends: Iterable[Sent],
    seen: Iterable[Seen],
    *,
    elsewhere: Collection[tuple[str, str]] = (),
    handed: Iterable[Got] | None = None,
    unordered: Collection[str] = (),
) -> list[Violation]:
    """Each broken promise.

    Args:
        sends: in the order of each sender.
        seen: in the order of each receiver.
        elsewhere: `(to, id)` of what waits, is a dead letter, or came back: it was
            accepted and need not have been delivered.
        handed: deliveries in the order in which brokers gave them out, if that is
            known. Then order is looked for there: an application whose lease was lost
            sees later mail first.
        unordered: ids whose order is not promised. One that was refused, of which its
            sender did not hear, and that was accepted when it came again, is behind
            what was accepted in between.
    """
    sent = list(sends)
    by_receiver = _by_receiver(seen)
    given = by_receiver if handed is None else _by_receiver(handed)
    found = {
        LOST: _lost(sent, by_receiver, elsewhere),
        MADE_UP: _out_of_nowhere(sent, by_receiver),
        STORED_TWICE: _stored_twice(by_receiver),
        ACKED_TWICE: _acked_twice(by_receiver),
        DISORDERED: _out_of_order(sent, given, unordered),
    }
    return [Violation(kind, text) for kind, texts in found.items() for text in texts]


class History:
    """The records of one run, told while it happens."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}
        self.seen: list[Seen] = []
        self.handed: list[Got] | None = None
        self._given_up: set[str] = set()

    def sends(self, sender: str, to: str, id_: str) -> None:
        """It is about to ask; once for each id, however often that is sent."""
        assert id_ not in self.sent, id_
        self.sent[id_] = Sent(sender, to, id_, UNKNOWN)

    def ends(self, id_: str, outcome: str, at: float = 0.0) -> None:
        """It was told. What was given up before stays unknown, as for its sender."""
        if id_ not in self._given_up:
            self.sent[id_] = self.sent[id_]._replace(outcome=outcome, at=at)

    def gives_up(self, id_: str) -> None:
        """It waits no longer: a time-out, which says nothing."""
        if self.sent[id_].outcome == UNKNOWN:
            self._given_up.add(id_)

    def gets(
        self, receiver: str, sender: str, id_: str, seq: int, attempt: int
    ) -> None:
        """A delivery to an application."""
        self.seen.append(Got(receiver, sender, id_, seq, attempt))

    def hands(
        self, receiver: str, sender: str, id_: str, seq: int, attempt: int
    ) -> None:
        """A delivery left its broker."""
        if self.handed is None:
            self.handed = []
        self.handed.append(Got(receiver, sender, id_, seq, attempt))

    def acks(self, receiver: str, id_: str, outcome: str) -> None:
        """It was told what became of its ack."""
        self.seen.append(Acked(receiver, id_, outcome))

    def violations(
        self,
        elsewhere: Collection[tuple[str, str]] = (),
        unordered: Collection[str] = (),
    ) -> list[Violation]:
        return broken_promises(
            self.sent.values(),
            self.seen,
            elsewhere=elsewhere,
            handed=self.handed,
            unordered=unordered,
        )


def accepted(sends: Iterable[Sent]) -> list[Sent]:
    return [sent for sent in sends if sent.outcome == OK]


def longest_gap(times: Sequence[float]) -> float:
    """Seconds between two successes that were furthest apart."""
    gaps = [later - at for at, later in pairwise(sorted(times))]
    return max(gaps, default=0.0)


def _by_receiver(seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    by_receiver: dict[str, list[Seen]] = {}
    for one in seen:
        by_receiver.setdefault(one.receiver, []).append(one)
    return by_receiver


def _deliveries(seen: Mapping[str, list[Seen]]) -> Iterable[Got]:
    for events in seen.values():
        yield from (one for one in events if isinstance(one, Got))


def _lost(
    sent: list[Sent],
    seen: Mapping[str, list[Seen]],
    elsewhere: Collection[tuple[str, str]],
) -> Iterable[str]:
    got = {(one.receiver, one.id) for one in _deliveries(seen)} | set(elsewhere)
    for one in accepted(sent):
        if (one.to, one.id) not in got:
            yield f"{one.id} was accepted for {one.to} and never delivered"


def _out_of_nowhere(sent: list[Sent], seen: Mapping[str, list[Seen]]) -> Iterable[str]:
    known = {one.id: one for one in sent}
    for got in _deliveries(seen):
        origin = known.get(got.id)
        if origin is None:
            yield f"{got.id} was delivered to {got.receiver} and never sent"
        elif (origin.to, origin.sender) != (got.receiver, got.sender):
            yield f"{got.id} was sent to {origin.to} and delivered to {got.receiver}"
        elif origin.outcome == FAILED:
            yield f"{got.id} was refused and delivered to {got.receiver}"


def _stored_twice(seen: Mapping[str, list[Seen]]) -> Iterable[str]:
    places: dict[tuple[str, str], int] = {}
    for got in _deliveries(seen):
        first = places.setdefault((got.receiver, got.id), got.seq)
        if first != got.seq:
            yield f"{got.id} is stored twice for {got.receiver}: {first}, {got.seq}"


def _acked_twice(seen: Mapping[str, list[Seen]]) -> Iterable[str]:
    for receiver, events in seen.items():
        done: set[str] = set()
        for one in events:
            if isinstance(one, Got) and one.id in done:
                yield f"{one.id} was delivered to {receiver} after its ack"
            elif isinstance(one, Acked) and one.outcome == OK:
                if one.id in done:
                    yield f"{one.id} was acked twice by {receiver}"
                done.add(one.id)


def _out_of_order(
    sent: list[Sent], seen: Mapping[str, list[Seen]], unordered: Collection[str]
) -> Iterable[str]:
    """First deliveries come in the order of their sends, per sender and receiver."""
    number = {one.id: n for n, one in enumerate(sent) if one.id not in unordered}
    for receiver, events in seen.items():
        met: set[str] = set()
        last: dict[str, str] = {}
        for one in events:
            if not isinstance(one, Got) or one.id in met or one.id not in number:
                continue
            met.add(one.id)
            before = last.get(one.sender)
            if before is not None and number[one.id] < number[before]:
                yield f"{receiver} first got {before}, then {one.id} of {one.sender}"
            else:
                last[one.sender] = one.id
