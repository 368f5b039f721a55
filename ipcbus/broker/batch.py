"""Messages on their way into the store, and what their headers are made of."""

from __future__ import annotations

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


class Batch:
    """Messages on their way into the store, as columns.

    Attributes:
        positions, rows: of the messages, the position of each in its SEND.
        entries, boxes, takers: one for each mailbox of each message; `takers[i]` gets
            `entries[i]` at once.
        attached: seq and attachment, for each one that a message refers to.
        full: seq, header and mailbox of who had no room, where others had.
        given_up: mailboxes of which the oldest of a topic went to make room.
        grants: seq and grant, for each answer that a grant lets out.
    """

    __slots__ = (
        "attached",
        "boxes",
        "entries",
        "full",
        "given_up",
        "grants",
        "positions",
        "rows",
        "takers",
    )

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.rows: list[Row] = []
        self.entries: list[Entry] = []
        self.boxes: list[Mailbox] = []
        self.takers: list[Session | None] = []
        self.attached: list[tuple[int, str]] = []
        self.full: list[tuple[int, Header, Mailbox]] = []
        self.given_up: list[Mailbox] = []
        self.grants: list[tuple[int, ReplyGrant]] = []


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


def is_full(box: Mailbox, size: int, bounds: tuple[int, int]) -> bool:
    most, most_bytes = box.most or bounds
    return box.messages >= most or box.bytes + size > most_bytes


def is_same(header: Header, body: bytes, known: Row) -> bool:
    """Whether a known row has this content; `header` as if it were accepted then."""
    crossing = digested(header, body).digest
    if not known.header:
        return known.body in (crossing, fingerprint(pack_header(header), body))
    if (stored := digest_of(known.header)) is not None:
        return stored == crossing
    return pack_header(header) == known.header and body == known.body
