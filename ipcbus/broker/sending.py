"""Into mailboxes: what a client sends, and what the broker posts (`notices`).

A message is checked, its recipients are found, and it is stored with all of its
entries in one call per batch. Only then is it handed out. Refusals are per message:
one bad one never stops the others of its batch.
"""

from __future__ import annotations

from typing import Any

from ipcbus.broker.batch import (
    OVERHEAD,
    Batch,
    header_of,
    is_same,
    leaving,
)
from ipcbus.broker.blobs import Attachments
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.links import Links
from ipcbus.broker.mailbox import Mailbox, Mailboxes
from ipcbus.broker.rates import Rates
from ipcbus.broker.room import Room
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
from ipcbus.protocol.digest import digested
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import (
    ACCEPTED,
    FUTURE,
    SENDABLE_FLAGS,
    Accepted,
    Draft,
    Header,
    Send,
)
from ipcbus.protocol.pieces import pack_header
from ipcbus.store.base import Store
from ipcbus.store.records import (
    Agent,
    Entry,
    ReplyGrant,
    Row,
    Waiting,
)


class _NoRoom(Exception):
    """The store has no room for another message, as it said beforehand; not to be
    confused with `StoreFull`, which it raises when a turn has failed."""


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
        links: Links,
        last_seq: int,
    ) -> None:
        self._links = links
        self._network = network
        self._store = store
        self._settings = settings
        self._directory = directory
        self._boxes = boxes
        self._delivery = delivery
        self._ends = ends
        self._blobs = blobs
        self._rates = Rates(settings)
        self._room = Room(store.mail, settings, directory, links)
        self.routing = Routing(
            network, settings, directory, boxes, links, store.crossings
        )
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
                if route is None or (route.link is not None and draft.reply_to):
                    route = self.routing.find(turn, agent.number, draft)
                    if route.state == ACCEPTED and route.grant is None:
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
        again = {batch.positions[at] for at in self.store_all(turn, batch)}
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
        if draft.flags & ~SENDABLE_FLAGS:
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
        header = header_of(draft, agent.name, wall)
        expires = header.expires_at or 0
        if route.state == FUTURE:
            latest = wall + self._settings.future_ms
            expires = min(expires or latest, latest)
        if route.link is not None:
            header = leaving(header, body, granted=route.grant is not None)
        elif len(self._links):
            header = self._for_links(header, body, route.boxes)
        self.put(batch, agent.number, header, body, route.boxes, expires)
        if route.grant is not None:
            self.use_later(turn, batch, route.grant)

    def _for_links(self, header: Header, body: bytes, boxes: list[Mailbox]) -> Header:
        """A topic's message that also leaves needs a digest."""
        if any(box.blocked is not None for box in boxes):
            return digested(header, body)
        return header

    def put(
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
            boxes = self._room.find(batch, header, boxes, size, self.last_seq + 1)
        self.last_seq = seq = self.last_seq + 1
        rank = PRIORITIES - 1 - header.priority
        for box in boxes:
            taker = self._delivery.reserve(box, header.reply_to, size)
            attempt = 0 if taker is None else 1
            until = self._until(box, header, expires)
            batch.entries.append(
                Entry(box.number, rank, seq, attempt, 0, until, shared, size)
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

    def _until(self, box: Mailbox, header: Header, expires: int) -> int:
        """When an entry expires; what waits for a bridge does not wait for ever."""
        if box.blocked is None:
            return expires
        wall = header.accepted_at
        return self._links.held_until(box.number, header, expires, wall)

    # --- into the store ----------------------------------------------------

    def store_all(self, turn: Turn, batch: Batch) -> list[int]:
        """Store a batch, and hand out what has takers.

        Returns the places in the batch of messages whose id was known already.
        """
        for box in batch.given_up:  # also if there was no room all the same
            turn.counted["filtered"] += 1
            turn.counted[f"{self._links.peer_of(box.number)}:filtered"] += 1
            turn.touched.add(box.number)
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
            if box.blocked is not None:
                turn.counted[f"{self._links.peer_of(box.number)}:offered"] += 1
            if entry.expires:
                self._ends.watch(entry.expires)
        self._follow_up(turn, batch, skipped)
        return known

    def _follow_up(self, turn: Turn, batch: Batch, skipped: set[int]) -> None:
        """What storing a batch entails, but for messages that were there already."""
        for seq, sha256 in batch.attached:
            if seq not in skipped:
                self._store.blobs.link(seq, sha256)
        for seq, header, box in batch.full:
            if seq not in skipped:
                self._ends.full(turn, header, box.number)
        for seq, grant in batch.grants:
            if seq not in skipped:
                self._use(grant)
        turn.granted.clear()

    def use_later(self, turn: Turn, batch: Batch, grant: ReplyGrant) -> None:
        """The message that was `put` last is an answer of those that were granted."""
        batch.grants.append((self.last_seq, grant))
        turn.granted[grant.reply_to, grant.replier] += 1

    def _use(self, grant: ReplyGrant) -> None:
        """One answer of those that were granted was sent."""
        now = self._store.crossings.grant(grant.reply_to, grant.replier)
        if now is not None:
            self._store.crossings.put_grants([now._replace(left=max(0, now.left - 1))])

    def _known(
        self, agent: Agent, draft: Draft, body: bytes
    ) -> tuple[str, dict[str, Any]] | None:
        """What the sender of a known id is told: what it was told first, or a clash."""
        known = self._store.mail.find(draft.id)
        if known is None:
            return None
        header = header_of(draft, agent.name, known.accepted_at)
        if known.sender != agent.number or not is_same(header, body, known):
            return IdClash(id=draft.id).to_wire()
        state, facts = self.routing.outcome(draft, known.mailbox)
        return state, facts | {"again": True}

    # --- from the broker ---------------------------------------------------

    def post(
        self, turn: Turn, header: Header, body: bytes, mailboxes: list[int]
    ) -> None:
        """Store a message of the broker's own; nothing refuses it."""
        batch = Batch()
        boxes = [self._boxes[number] for number in mailboxes]
        link = self._links.get(mailboxes[0])
        if link is not None:
            header = leaving(header, body, granted=True)
        self.put(batch, 0, header, body, boxes, 0)
        known = self.store_all(turn, batch)
        assert not known
