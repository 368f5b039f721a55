"""Messages on their way into the store, and what their headers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.protocol.digest import digested
from ipcbus.protocol.messages import (
    FLAG_GRANTED,
    RECEIPTS,
    TRUST_LOCAL,
    Draft,
    Header,
)
from ipcbus.protocol.pieces import digest_of, pack_header
from ipcbus.store.records import (
    Entry,
    ReplyGrant,
    Row,
    fingerprint,
)

OVERHEAD = 512
"""Bytes that a stored message costs beside body and meta: header, rows, indexes."""


class Apart(Exception):
    """Messages that are alike do not share one fate: each is to be taken alone."""


class Part(NamedTuple):
    """Messages alike, on their way into one mailbox.

    `rows[row:]` of the batch and `entries[entry:]` begin with them; `takers[i]` gets
    the i-th at once.
    """

    box: Mailbox
    row: int
    entry: int
    takers: list[Session | None]


class Batch:
    """Messages on their way into the store, as columns.

    Attributes:
        room: bytes that the store has left for it.
        positions, rows: of the messages, the position of each in its SEND.
        entries: one for each mailbox of each message.
        parts: of `entries`, by mailbox, in order and without a gap.
        attached: seq and attachment, for each one that a message refers to.
        full: seq, header and mailbox of who had no room, where others had.
        given_up: mailboxes of which the oldest of a topic went to make room.
        grants: seq and grant, for each answer that a grant lets out.
    """

    __slots__ = (
        "attached",
        "entries",
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
        self.entries: list[Entry] = []
        self.parts: list[Part] = []
        self.attached: list[tuple[int, str]] = []
        self.full: list[tuple[int, Header, Mailbox]] = []
        self.given_up: list[Mailbox] = []
        self.grants: list[tuple[int, ReplyGrant]] = []

    def boxes_of(self) -> dict[int, list[Mailbox]]:
        """By seq, the mailboxes of a message."""
        boxes: dict[int, list[Mailbox]] = {}
        for part in self.parts:
            for entry in self.entries[part.entry : part.entry + len(part.takers)]:
                boxes.setdefault(entry.seq, []).append(part.box)
        return boxes

    def add_rows(
        self,
        header: Header,
        sender: int,
        mailbox: int,
        seqs: range,
        ids: Sequence[str],
        packed: Sequence[bytes],
        bodies: Sequence[bytes],
    ) -> None:
        same = (sender, mailbox, header.accepted_at, header.thread, header.reply_to)
        self.rows += [
            tuple.__new__(Row, (seq, id_, *same, head, body))
            for seq, id_, head, body in zip(seqs, ids, packed, bodies, strict=True)
        ]

    def add_entries(
        self,
        box: Mailbox,
        rank: int,
        seqs: range,
        takers: list[Session | None],
        expires: int,
        shared: int,
        sizes: Sequence[int],
    ) -> None:
        """Those of the rows that were added last."""
        number, row, entry = box.number, len(self.rows) - len(seqs), len(self.entries)
        self.entries += [
            tuple.__new__(
                Entry,
                (number, rank, seq, 1 if taker else 0, 0, expires, shared, size),
            )
            for seq, taker, size in zip(seqs, takers, sizes, strict=True)
        ]
        self.parts.append(Part(box, row, entry, takers))


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


def leaving(header: Header, body: bytes, *, granted: bool) -> Header:
    """A header for another network. `granted`: no rule of a bridge need allow it."""
    return digested(header, body, FLAG_GRANTED if granted else 0)


def is_full(box: Mailbox, size: int, bounds: tuple[int, int], count: int = 1) -> bool:
    """Whether `count` messages of `size` bytes together have no room in a mailbox."""
    most, most_bytes = box.most or bounds
    return box.messages + count > most or box.bytes + size > most_bytes


def is_same(header: Header, body: bytes, known: Row) -> bool:
    """Whether a known row has this content; `header` as if it were accepted then."""
    crossing = digested(header, body).digest
    if not known.header:
        return known.body in (crossing, fingerprint(pack_header(header), body))
    if (stored := digest_of(known.header)) is not None:
        return stored == crossing
    return pack_header(header) == known.header and body == known.body
