"""What can be asked of a broker beside sending and receiving, as data.

Each word makes a call and reads its answer; `Client` and `AsyncClient` differ only in
how they wait in between.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ipcbus.protocol.limits import PAGE
from ipcbus.protocol.messages import Header, Meta
from ipcbus.protocol.pieces import read_header, unpack_meta

BODY_LIMIT = 10 * 1024
"""Bytes of each body that a listing shows, unless it is told otherwise."""


class Agent(NamedTuple):
    """`last_seen` is UTC milliseconds, None for never since the broker started."""

    name: str
    registered: bool
    sessions: int
    last_seen: int | None
    topics: list[str]


class Topic(NamedTuple):
    pattern: str
    agents: list[str]


class Key(NamedTuple):
    """A public key (hex) and whose it is; `name` is empty for an operator's. `state`
    is `live`, `expired` or `revoked`."""

    name: str
    role: str
    key: str
    created_at: int
    state: str
    sessions: int


class Renamed(NamedTuple):
    old: str
    new: str
    forwards_until: int


class Record(NamedTuple):
    """A message as history and search show it: not leased, maybe cut.

    Attributes:
        state: `waiting`, `dead` or `done`.
        size: bytes of the whole body; `body` may have fewer.
    """

    seq: int
    state: str
    size: int
    header: Header
    body: bytes

    @property
    def meta(self) -> Meta:
        return unpack_meta(self.header.meta)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Page(NamedTuple):
    """`more`: there are others; ask again with `before` the last seq."""

    records: list[Record]
    more: bool


class DeadLetter(NamedTuple):
    """`mailbox` is whose it is; `at` is when it was given up, in UTC milliseconds."""

    mailbox: str
    code: str
    reason: str
    at: int
    attempt: int
    seq: int
    header: Header


class DeadPage(NamedTuple):
    letters: list[DeadLetter]
    more: bool


Answered = tuple[Any, bytes]
Rows = list[list[Any]]
Ask = tuple[str, list[Any]]


def listed(answer: Answered) -> tuple[Rows, int]:
    """The rows of a page, and the offset of the next one, 0 after the last."""
    rows, offset = answer[0]
    return rows, offset


def agents_from(rows: Rows) -> list[Agent]:
    return [
        Agent(name, bool(registered), sessions, seen, topics)
        for name, registered, sessions, seen, topics in rows
    ]


def topics_from(rows: Rows) -> list[Topic]:
    return [Topic(*row) for row in rows]


def keys_from(rows: Rows) -> list[Key]:
    return [Key(*row) for row in rows]


def patterns_from(answer: Answered) -> list[str]:
    return list(answer[0][0])


def renamed_from(answer: Answered) -> Renamed:
    return Renamed(*answer[0])


def count_from(answer: Answered) -> int:
    return int(answer[0][0])


def status_from(answer: Answered) -> dict[str, Any]:
    """What a broker says of itself, and `volatile`: whether it keeps messages in its
    memory alone. One that does not say so is durable."""
    said = dict(answer[0])
    return {**said, "volatile": bool(said["store"].get("volatile"))}


def page_from(answer: Answered) -> Page:
    (rows, sizes, more), body = answer
    ends = pairwise(accumulate(sizes, initial=0))
    records = [
        Record(seq, state, size, read_header(header), body[start:end])
        for (seq, state, size, header), (start, end) in zip(rows, ends, strict=True)
    ]
    return Page(records, bool(more))


def dead_from(answer: Answered) -> DeadPage:
    rows, more = answer[0]
    letters = [DeadLetter._make([*row[:6], read_header(row[6])]) for row in rows]
    return DeadPage(letters, bool(more))


def history(
    limit: int, before: int | None, other: str | None, thread: str | None, body: int
) -> Ask:
    return "history", [min(limit, PAGE), before, other, thread, body]


def search(query: str, limit: int, before: int | None, body: int) -> Ask:
    return "search", [query, min(limit, PAGE), before, body]
