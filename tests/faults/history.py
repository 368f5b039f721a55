"""What clients saw, and what it must not contain.

Each client writes down what it asked for and what it was told, and the checker looks
at all of it afterwards, in the manner of Jepsen. A send is `ok` (accepted), `failed`
(refused, so it did not happen) or `unknown` (nobody ever said): an unknown one may
have happened or not, and is never counted as either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
STALE = "stale"


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


def violations(sends: Iterable[Sent], seen: Iterable[Seen]) -> list[str]:
    """Each broken promise as a sentence. `seen` is in the order of each receiver."""
    sent = list(sends)
    by_receiver: dict[str, list[Seen]] = {}
    for one in seen:
        by_receiver.setdefault(one.receiver, []).append(one)
    return [
        *_lost(sent, by_receiver),
        *_out_of_nowhere(sent, by_receiver),
        *_stored_twice(by_receiver),
        *_acked_twice(by_receiver),
        *_out_of_order(sent, by_receiver),
    ]


def accepted(sends: Iterable[Sent]) -> list[Sent]:
    return [sent for sent in sends if sent.outcome == OK]


def longest_gap(times: Sequence[float]) -> float:
    """Seconds between two successes that were furthest apart."""
    gaps = [later - at for at, later in pairwise(sorted(times))]
    return max(gaps, default=0.0)


def _deliveries(seen: Mapping[str, list[Seen]]) -> Iterable[Got]:
    for events in seen.values():
        yield from (one for one in events if isinstance(one, Got))


def _lost(sent: list[Sent], seen: Mapping[str, list[Seen]]) -> Iterable[str]:
    got = {(one.receiver, one.id) for one in _deliveries(seen)}
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


def _out_of_order(sent: list[Sent], seen: Mapping[str, list[Seen]]) -> Iterable[str]:
    """First deliveries come in the order of their sends, per sender and receiver."""
    number = {one.id: at for at, one in enumerate(sent)}
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
