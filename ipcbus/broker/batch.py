"""Messages on their way into the store, and what their headers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.protocol.alike import pack_digested
from ipcbus.protocol.digest import digested, digests
from ipcbus.protocol.messages import (
    FLAG_GRANTED,
    RECEIPTS,
    TRUST_LOCAL,
    Draft,
    Header,
)
from ipcbus.protocol.pieces import digest_of, pack_header, unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import (
    Entry,
    Place,
    ReplyGrant,
    Row,
    fingerprint,
)

Taker = tuple[Session | None, int]

OVERHEAD = 512
"""Bytes that a stored message costs beside body and meta: header, rows, indexes."""


_OF_HEADER = 16
"""Bytes of a fingerprint that are of the header; the rest is of the body."""


class Apart(Exception):
    """Messages that are alike do not share one fate: each is to be taken alone."""


class Columns(NamedTuple):
    """Messages of one mailbox; element i of each column belongs to one of them."""

    seqs: Sequence[int]
    sizes: Sequence[int]
    headers: Sequence[bytes]
    bodies: Sequence[bytes]

    def part(self, start: int, end: int) -> Columns:
        if end - start == len(self.seqs):
            return self
        return Columns(*(column[start:end] for column in self))  # type: ignore[arg-type]

    def only(self, places: Sequence[int]) -> Columns:
        chosen = ([column[at] for at in places] for column in self)
        return Columns(*chosen)  # type: ignore[arg-type]


class Part(NamedTuple):
    """Messages alike, on their way into one mailbox.

    `takers`: who gets the first of them at once, who the next; None for those that
    wait, which are the last.
    """

    box: Mailbox
    rank: int
    expires: int
    shared: int
    reply_to: str | None
    columns: Columns
    takers: list[Taker]

    def taken(self) -> int:
        """How many are leased at once."""
        return sum(count for session, count in self.takers if session is not None)

    def entries(self, start: int, end: int, attempt: int) -> list[Entry]:
        seqs, sizes = self.columns.seqs[start:end], self.columns.sizes[start:end]
        same = (attempt, 0, self.expires, self.shared)
        number, rank = self.box.number, self.rank
        return [
            Entry(number, rank, seq, *same, size)
            for seq, size in zip(seqs, sizes, strict=True)
        ]


class Batch:
    """Messages on their way into the store, as columns.

    Attributes:
        room: bytes that the store has left for it.
        positions, rows: of the messages, the position of each in its SEND.
        parts: the same by mailbox.
        attached: seq and attachment, for each one that a message refers to.
        full: seq, header and mailbox of who had no room, where others had.
        given_up: mailboxes of which the oldest of a topic went to make room.
        grants: seq and grant, for each answer that a grant lets out.
    """

    __slots__ = (
        "attached",
        "full",
        "given_up",
        "grants",
        "parts",
        "positions",
        "room",
        "rows",
    )

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.positions: list[int] = []
        self.rows: list[Row] = []
        self.parts: list[Part] = []
        self.attached: list[tuple[int, str]] = []
        self.full: list[tuple[int, Header, Mailbox]] = []
        self.given_up: list[Mailbox] = []
        self.grants: list[tuple[int, ReplyGrant]] = []

    def add_rows(
        self,
        header: Header,
        sender: int,
        mailbox: int,
        seqs: Sequence[int],
        ids: Sequence[str],
        packed: Sequence[bytes],
        bodies: Sequence[bytes],
    ) -> None:
        same = (sender, mailbox, header.accepted_at, header.thread, header.reply_to)
        columns = zip(seqs, ids, *map(repeat, same), packed, bodies, strict=False)
        # Without a step of Python for each: a third of the time.
        self.rows += map(tuple.__new__, repeat(Row), columns)

    def stored_in(self, mail: Mail) -> list[int]:
        """Store it; the places of messages whose id was known already."""
        entries: list[Entry] = []
        places: list[Place] = []
        for part in self.parts:
            seqs = part.columns.seqs
            taken, count = part.taken(), len(seqs)
            for start, end, attempt in ((0, taken, 1), (taken, count, 0)):
                if start == end:
                    continue
                if part.shared:
                    entries += part.entries(start, end, attempt)
                    continue
                where = (part.box.number, part.rank, seqs[start], seqs[end - 1])
                places.append(Place(*where, attempt, part.expires))
        return mail.add(self.rows, entries, places)


def header_of(draft: Draft, sender: str, accepted_at: int) -> Header:
    return Header(
        draft.id,
        sender,
        draft.to,
        draft.kind,
        draft.priority,
        accepted_at,
        None if draft.ttl_ms is None else accepted_at + draft.ttl_ms,
        draft.thread,
        draft.reply_to,
        TRUST_LOCAL,
        None,
        draft.attachments,
        draft.meta,
        None,
        draft.flags & RECEIPTS,
    )


def leaving(
    header: Header, ids: Sequence[str], bodies: Sequence[bytes], *, granted: bool
) -> tuple[Header, list[bytes]]:
    """A header for another network, and all of them packed. `granted`: no rule of a
    bridge need allow it."""
    made = digests(header, bodies)
    flags = header.flags | (FLAG_GRANTED if granted else 0)
    header = header._replace(digest=made[0], flags=flags)
    return header, pack_digested(header, ids, made)


def is_full(box: Mailbox, size: int, bounds: tuple[int, int], count: int = 1) -> bool:
    """Whether `count` messages of `size` bytes together have no room in a mailbox."""
    most, most_bytes = box.most or bounds
    return box.messages + count > most or box.bytes + size > most_bytes


def is_same(header: Header, body: bytes, known: Row, *, renamed: bool) -> bool:
    """Whether a known row has this content; `header` as if it were accepted then.

    `renamed`: its sender may have had another name. If nothing tells that any more, the
    header's part of the fingerprint cannot be made again, and that of the body decides.
    """
    crossing = digested(header, body).digest
    if not known.header:
        whole = fingerprint(pack_header(header), body)
        same_body = whole[_OF_HEADER:] == known.body[_OF_HEADER:]
        return known.body in (crossing, whole) or (renamed and same_body)
    if (stored := digest_of(known.header)) is not None:
        return stored == crossing
    header = header._replace(sender=unpack_header(known.header).sender)
    return pack_header(header) == known.header and body == known.body
