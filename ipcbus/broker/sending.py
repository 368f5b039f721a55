"""Into mailboxes: what a client sends, and what the broker posts (`notices`).

A message is checked, its recipients are found, and it is stored with all of its
entries in one call per batch. Only then is it handed out. Refusals are per message:
one bad one never stops the others of its batch.
"""

from __future__ import annotations

from typing import Any

from ipcbus.broker.blobs import Attachments
from ipcbus.broker.delivery import Delivery, Mailboxes
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.rates import Rates
from ipcbus.broker.routing import Route, Routing
from ipcbus.broker.sessions import Session
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import (
    BoundExceeded,
    CannotServe,
    IdClash,
    InvalidMessage,
    IpcbusError,
    StoreFull,
)
from ipcbus.protocol.address import OWN_IDS
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import (
    ACCEPTED,
    FLAG_FUTURE,
    FUTURE,
    TRUST_LOCAL,
    Accepted,
    Draft,
    Header,
    Send,
)
from ipcbus.protocol.pieces import pack_header
from ipcbus.store.base import Store
from ipcbus.store.records import Agent, Entry, Row, Waiting, fingerprint

OVERHEAD = 512
"""Bytes that a stored message costs beside body and meta: header, rows, indexes."""


class _NoRoom(Exception):
    """The store has no room for another message, as it said beforehand; not to be
    confused with `StoreFull`, which it raises when a turn has failed."""


class Batch:
    """Messages on their way into the store, as columns.

    Attributes:
        positions, rows: of the messages, the position of each in its SEND.
        entries, boxes, takers: one for each mailbox of each message; `takers[i]` gets
            `entries[i]` at once.
        attached: seq and attachment, for each one that a message refers to.
        full: seq, header and mailbox of who had no room, where others had.
    """

    __slots__ = ("attached", "boxes", "entries", "full", "positions", "rows", "takers")

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.rows: list[Row] = []
        self.entries: list[Entry] = []
        self.boxes: list[Mailbox] = []
        self.takers: list[Session | None] = []
        self.attached: list[tuple[int, str]] = []
        self.full: list[tuple[int, Header, Mailbox]] = []


class Sending:
    """Accepts messages. `last_seq` is the highest number ever given."""

    def __init__(
        self,
        network: str,
        store: Store,
        settings: Settings,
        directory: Directory,
        boxes: Mailboxes,
        delivery: Delivery,
        ends: Ends,
        blobs: Attachments,
        last_seq: int,
    ) -> None:
        self._network = network
        self._store = store
        self._settings = settings
        self._directory = directory
        self._boxes = boxes
        self._delivery = delivery
        self._ends = ends
        self._blobs = blobs
        self._rates = Rates(settings)
        self._routing = Routing(network, settings, directory, boxes)
        self.last_seq = last_seq

    # --- from clients ------------------------------------------------------

    def send(self, turn: Turn, session: Session, send: Send) -> None:
        agent = self._directory.agent(session.agent)
        room = self._store.room()
        exceptions: list[list[Any]] = []
        batch = Batch()
        routes: dict[str, Route] = {}
        for position, draft in enumerate(send.drafts):
            body = send.bodies[position]
            room -= len(body) + len(draft.meta or b"") + OVERHEAD
            try:
                if room <= 0:
                    raise _NoRoom
                self._check(turn, agent, draft, body)
                route = routes.get(draft.to)
                if route is None:
                    route = self._routing.find(turn, agent.number, draft)
                    if route.state == ACCEPTED:
                        routes[draft.to] = route  # nothing changes it in this turn
                self._plan(turn, batch, agent, draft, body, route)
            except (StoreFull, CannotServe):
                raise  # out of the store: this turn is void
            except (_NoRoom, IpcbusError) as error:
                # What was accepted once stays so, whatever has changed since.
                told = self._known(agent, draft, body) or self._refusal(error)
                exceptions.append([position, *told])
                continue
            batch.positions.append(position)
            if route.state != ACCEPTED or route.facts:
                exceptions.append([position, route.state, route.facts])
        turn.counted["refused"] += len(send.drafts) - len(batch.rows)
        again = {batch.positions[at] for at in self._store_all(turn, batch)}
        if again:
            exceptions = [row for row in exceptions if row[0] not in again]
            for position in sorted(again):
                draft, body = send.drafts[position], send.bodies[position]
                outcome = self._known(agent, draft, body)
                assert outcome is not None
                exceptions.append([position, *outcome])
            turn.counted["duplicates"] += len(again)
        turn.say(session.peer, Accepted(send.ref, exceptions))

    def _refusal(self, error: Exception) -> tuple[str, dict[str, Any]]:
        if isinstance(error, IpcbusError):
            return error.to_wire()
        return StoreFull(network=self._network).to_wire()

    def _check(self, turn: Turn, agent: Agent, draft: Draft, body: bytes) -> None:
        """What does not depend on the recipient. Raises what the sender is told."""
        if draft.flags & ~FLAG_FUTURE:
            raise InvalidMessage(field="flags", reason=f"{draft.flags} is not known")
        if draft.id.startswith(OWN_IDS):
            raise InvalidMessage(field="id", reason=f"{OWN_IDS}... is the broker's own")
        if agent.rate or self._settings.rate:
            self._rates.check(agent, turn.now.mono)
        most = agent.max_body or self._settings.max_body
        if len(body) > most:
            raise BoundExceeded(bound="max_body", value=len(body), limit=most)
        if draft.attachments:
            self._blobs.check(agent.number, draft.attachments)

    def _plan(
        self,
        turn: Turn,
        batch: Batch,
        agent: Agent,
        draft: Draft,
        body: bytes,
        route: Route,
    ) -> None:
        wall = turn.now.wall
        header = _header(draft, agent.name, wall)
        expires = header.expires_at or 0
        if route.state == FUTURE:
            latest = wall + self._settings.future_ms
            expires = min(expires or latest, latest)
        self._put(batch, agent.number, header, body, route.boxes, expires)

    def _put(
        self,
        batch: Batch,
        sender: int,
        header: Header,
        body: bytes,
        boxes: list[Mailbox],
        expires: int,
    ) -> None:
        """Add a message whose recipients are known; takes their credit.

        Of several recipients one whose mailbox is full is left out and bounced; a
        single one refuses the message. What the broker writes (sender 0) is never
        refused: a bounce must not be lost.
        """
        packed = pack_header(header)
        size = len(packed) + len(body)
        shared = 1 if len(boxes) > 1 else 0
        mailbox = 0 if shared else boxes[0].number
        if sender:
            boxes = self._with_room(batch, header, boxes, size)
        self.last_seq = seq = self.last_seq + 1
        rank = PRIORITIES - 1 - header.priority
        for box in boxes:
            taker = self._delivery.reserve(box, header.reply_to, size)
            attempt = 0 if taker is None else 1
            batch.entries.append(
                Entry(box.number, rank, seq, attempt, 0, expires, shared, size)
            )
            batch.boxes.append(box)
            batch.takers.append(taker)
        batch.rows.append(
            Row(
                seq,
                header.id,
                sender,
                mailbox,
                header.accepted_at,
                header.thread,
                header.reply_to,
                packed,
                body,
            )
        )
        if header.attachments:
            batch.attached += [(seq, sha256) for sha256, *_ in header.attachments]

    def _with_room(
        self, batch: Batch, header: Header, boxes: list[Mailbox], size: int
    ) -> list[Mailbox]:
        """The mailboxes that can take a message of `size`. Raises if it is none."""
        most, most_bytes = self._settings.mailbox_messages, self._settings.mailbox_bytes
        for box in boxes:
            if box.messages >= most or box.bytes + size > most_bytes:
                break
        else:
            return boxes
        if len(boxes) == 1:
            raise self._full(boxes[0], size)
        full = [
            box
            for box in boxes
            if box.messages >= most or box.bytes + size > most_bytes
        ]
        seq = self.last_seq + 1
        batch.full += [(seq, header, box) for box in full]
        return [box for box in boxes if box not in full]

    def _full(self, box: Mailbox, size: int) -> BoundExceeded:
        name = self._directory.name(box.number)
        if box.messages >= self._settings.mailbox_messages:
            return BoundExceeded(
                bound=f"mailbox_messages of {name}",
                value=box.messages + 1,
                limit=self._settings.mailbox_messages,
            )
        return BoundExceeded(
            bound=f"mailbox_bytes of {name}",
            value=box.bytes + size,
            limit=self._settings.mailbox_bytes,
        )

    # --- into the store ----------------------------------------------------

    def _store_all(self, turn: Turn, batch: Batch) -> list[int]:
        """Store a batch, and hand out what has takers.

        Returns the places in the batch of messages whose id was known already.
        """
        if not batch.rows:
            return []
        known = self._store.mail.add(batch.rows, batch.entries)
        skipped = {batch.rows[at].seq for at in known}
        first = batch.rows[0].seq  # the rows of a batch are numbered without a gap
        for box, entry, taker in zip(
            batch.boxes, batch.entries, batch.takers, strict=True
        ):
            if entry.seq in skipped:
                self._delivery.cancel(box, entry.size, taker)
                continue
            row = batch.rows[entry.seq - first]
            waiting = Waiting(entry, row.header, row.body)
            self._delivery.arrive(turn, box, waiting, taker, row.reply_to)
            turn.counted["accepted"] += 1
            if entry.expires:
                self._ends.watch(entry.expires)
        for seq, sha256 in batch.attached:
            if seq not in skipped:
                self._store.blobs.link(seq, sha256)
        for seq, header, box in batch.full:
            if seq not in skipped:
                self._ends.full(turn, header, box.number)
        return known

    def _known(
        self, agent: Agent, draft: Draft, body: bytes
    ) -> tuple[str, dict[str, Any]] | None:
        """What the sender of a known id is told: what it was told first, or a clash."""
        known = self._store.mail.find(draft.id)
        if known is None:
            return None
        header = _header(draft, agent.name, known.accepted_at)
        if known.sender != agent.number or not _same(header, body, known):
            return IdClash(id=draft.id).to_wire()
        state, facts = self._routing.outcome(draft, known.mailbox)
        return state, facts | {"again": True}

    # --- from the broker ---------------------------------------------------

    def post(
        self, turn: Turn, header: Header, body: bytes, mailboxes: list[int]
    ) -> None:
        """Store a message of the broker's own; nothing refuses it."""
        batch = Batch()
        boxes = [self._boxes[number] for number in mailboxes]
        self._put(batch, 0, header, body, boxes, 0)
        known = self._store_all(turn, batch)
        assert not known


def _header(draft: Draft, sender: str, accepted_at: int) -> Header:
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
    )


def _same(header: Header, body: bytes, known: Row) -> bool:
    """Whether a known row has this content; `header` as if it were accepted then."""
    packed = pack_header(header)
    if known.header:
        return packed == known.header and body == known.body
    return fingerprint(packed, body) == known.body
