"""Into mailboxes: what a client sends, and what the broker posts (`notices`).

A message is checked, its recipients are found, and it is stored with all of its
entries in one call per batch. Only then is it handed out. Refusals are per message:
one bad one never stops the others of its batch.
"""

from __future__ import annotations

from itertools import repeat
from operator import add
from typing import Any

from ipcbus.broker.batch import (
    OVERHEAD,
    Apart,
    Batch,
    Columns,
    Part,
    Taker,
    header_of,
    is_same,
    leaving,
)
from ipcbus.broker.blobs import Attachments
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.guarding import Guarding
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
from ipcbus.protocol.alike import Run, pack_headers, runs_of, whole
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import (
    ACCEPTED,
    ACK,
    FUTURE,
    SENDABLE_FLAGS,
    Accepted,
    Draft,
    Header,
    Send,
)
from ipcbus.protocol.pieces import pack_header
from ipcbus.store.base import Store
from ipcbus.store.records import Agent, ReplyGrant


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
        guarding: Guarding,
        last_seq: int,
    ) -> None:
        self._links = links
        self.guarding = guarding
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
        exceptions: list[list[Any]] = []
        batch = Batch(self._store.room())
        routes: dict[str, Route] = {}
        runs = runs_of(send.drafts)[::-1]
        while runs:
            run = runs.pop()
            places = range(run.start, run.start + len(run.ids))
            bodies = send.bodies[places.start : places.stop]
            try:
                route = self._take(turn, batch, agent, run, bodies, routes)
            except (StoreFull, CannotServe):
                raise  # out of the store: this turn is void
            except (Apart, _NoRoom, IpcbusError) as error:
                if len(places) > 1:
                    runs += reversed(run.one_by_one())
                    continue
                (body,) = bodies
                # What was accepted once stays so, whatever has changed since.
                known = self._known(agent, run.draft, body)
                exceptions.append([run.start, *(known or self._refusal(error))])
                continue
            batch.positions += places
            if route.state != ACCEPTED or route.facts:
                exceptions += [[at, route.state, route.facts] for at in places]
        turn.counted["refused"] += len(send.drafts) - len(batch.rows)
        again = {batch.positions[at] for at in self.store_all(turn, batch)}
        if again:
            exceptions = [row for row in exceptions if row[0] not in again]
            drafts = whole(send.drafts)
            for position in sorted(again):
                body = send.bodies[position]
                outcome = self._known(agent, drafts[position], body)
                assert outcome is not None
                exceptions.append([position, *outcome])
            turn.counted["duplicates"] += len(again)
            self._rates.give_back(agent, len(again))
        self.guarding.tell(turn)
        turn.say(session.peer, Accepted(send.ref, exceptions))

    def _take(
        self,
        turn: Turn,
        batch: Batch,
        agent: Agent,
        run: Run,
        bodies: list[bytes],
        routes: dict[str, Route],
    ) -> Route:
        """Put messages alike into the batch. Raises why one of them is refused, or
        that they must be taken one by one; then nothing has changed."""
        _, draft, ids = run
        each = len(draft.meta or b"") + OVERHEAD
        size = sum(map(len, bodies)) + each * len(ids)
        if size >= batch.room:
            raise _NoRoom
        self._check(turn, agent, draft, ids, bodies)
        route = routes.get(draft.to)
        if route is None or (route.link is not None and draft.reply_to):
            route = self.routing.find(turn, agent.number, draft)
            if route.state == ACCEPTED and route.grant is None:
                routes[draft.to] = route  # nothing changes it in this turn
        sender = agent.number
        looked = self.guarding.look(turn, sender, draft, ids, bodies[0], route)
        self._plan(turn, batch, agent, draft, ids, bodies, route)
        self.guarding.note(turn, looked, ids)
        batch.room -= size
        return route

    def _refusal(self, error: Exception) -> tuple[str, dict[str, Any]]:
        if isinstance(error, IpcbusError):
            return error.to_wire()
        return StoreFull(network=self._network).to_wire()

    def _check(
        self,
        turn: Turn,
        agent: Agent,
        draft: Draft,
        ids: list[str],
        bodies: list[bytes],
    ) -> None:
        """What does not depend on the recipient. Raises what the sender is told."""
        if draft.flags & ~SENDABLE_FLAGS:
            raise InvalidMessage(field="flags", reason=f"{draft.flags} is not known")
        if any(map(str.startswith, ids, repeat(OWN_IDS))):
            raise InvalidMessage(field="id", reason=f"{OWN_IDS}... is the broker's own")
        if agent.rate or self._settings.rate:
            _need_one(ids)
            self._rates.check(agent, turn.now.mono)
        most = agent.max_body or self._settings.max_body
        size = max(map(len, bodies))
        if size > most:
            raise BoundExceeded(bound="max_body", value=size, limit=most)
        if draft.attachments:
            self._blobs.check(agent.number, draft.attachments)

    def _plan(
        self,
        turn: Turn,
        batch: Batch,
        agent: Agent,
        draft: Draft,
        ids: list[str],
        bodies: list[bytes],
        route: Route,
    ) -> None:
        wall = turn.now.wall
        header = header_of(draft, agent.name, wall)
        expires = header.expires_at or 0
        if route.state == FUTURE:
            latest = wall + self._settings.future_ms
            expires = min(expires or latest, latest)
        if draft.reply_to is not None or route.state == FUTURE:
            _need_one(ids)
        granted = route.grant is not None
        if granted or self._leaves(route):
            header, packed = leaving(header, ids, bodies, granted=granted)
        else:
            packed = pack_headers(header, ids)
        boxes = route.boxes
        self.put(batch, agent.number, header, ids, packed, bodies, boxes, expires)
        if route.grant is not None:
            self.use_later(turn, batch, route.grant)

    def _leaves(self, route: Route) -> bool:
        """Whether it goes to another network, maybe as one reader of a topic."""
        return route.link is not None or (
            len(self._links) > 0 and any(box.blocked is not None for box in route.boxes)
        )

    def put(
        self,
        batch: Batch,
        sender: int,
        header: Header,
        ids: list[str],
        packed: list[bytes],
        bodies: list[bytes],
        boxes: list[Mailbox],
        expires: int,
    ) -> None:
        """Add messages alike whose recipients are known; takes their credit. `header`
        is that of the first, `packed` those of all.

        Of several recipients one whose mailbox is full is left out and bounced; a
        single one refuses the message. What the broker writes (sender 0) is never
        refused: a bounce must not be lost.
        """
        sizes = list(map(add, map(len, packed), map(len, bodies)))
        shared = 1 if len(boxes) > 1 else 0
        mailbox = 0 if shared else boxes[0].number
        first = self.last_seq + 1
        if sender:
            boxes = self._room.find(batch, header, boxes, sizes, first)
        seqs = range(first, first + len(ids))
        self.last_seq = seqs[-1]
        batch.add_rows(header, sender, mailbox, seqs, ids, packed, bodies)
        rank = PRIORITIES - 1 - header.priority
        columns = Columns(seqs, sizes, packed, bodies)
        is_news = header.kind != ACK
        for box in boxes:
            if is_news:
                box.newest = seqs[-1]
            takers = self._delivery.reserve(box, header.reply_to, sizes)
            until = self._until(box, header, expires)
            same = (box, rank, until, shared, header.reply_to)
            batch.parts.append(Part(*same, columns, takers))
        for sha256, *_ in header.attachments or ():
            batch.attached += [(seq, sha256) for seq in seqs]

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
        for box in batch.given_up:  # what they made room for touches it in a moment
            turn.counted["filtered"] += 1
            turn.counted[f"{self._links.peer_of(box.number)}:filtered"] += 1
        if not batch.rows:
            return []
        known = batch.stored_in(self._store.mail)
        skipped = {batch.rows[at].seq for at in known}
        for part in batch.parts:
            self._hand_on(turn, self._without(part, skipped) if skipped else part)
        self._follow_up(turn, batch, skipped)
        return known

    def _without(self, part: Part, skipped: set[int]) -> Part:
        """What is left of a part; the rest was not stored."""
        left: list[int] = []
        takers: list[Taker] = []
        columns = part.columns
        each = [session for session, count in part.takers for _ in range(count)]
        for at, session in enumerate(each):
            if columns.seqs[at] in skipped:
                self._delivery.cancel(part.box, columns.sizes[at], session)
            else:
                left.append(at)
                takers.append((session, 1))
        return part._replace(columns=columns.only(left), takers=takers)

    def _hand_on(self, turn: Turn, part: Part) -> None:
        """What is stored in one mailbox by now goes to its takers, or waits."""
        count = len(part.columns.seqs)
        if not count:
            return
        self._delivery.arrive(turn, part)
        turn.counted["accepted"] += count
        if part.box.blocked is not None:
            turn.counted[f"{self._links.peer_of(part.box.number)}:offered"] += count
        if part.expires:
            self._ends.watch(part.expires)

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
        renamed = agent.renamed_at >= known.accepted_at
        if known.sender != agent.number or not is_same(
            header, body, known, renamed=renamed
        ):
            return IdClash(id=draft.id).to_wire()
        state, facts = self.routing.outcome(draft, known)
        return state, facts | {"again": True}

    def next_seq(self) -> int:
        self.last_seq += 1
        return self.last_seq

    # --- from the broker ---------------------------------------------------

    def post(
        self, turn: Turn, header: Header, body: bytes, mailboxes: list[int]
    ) -> None:
        """Store a message of the broker's own; nothing refuses it."""
        batch = Batch()
        boxes = [self._boxes[number] for number in mailboxes]
        link = self._links.get(mailboxes[0])
        ids, packed = [header.id], [pack_header(header)]
        if link is not None:
            header, packed = leaving(header, ids, [body], granted=True)
        self.put(batch, 0, header, ids, packed, [body], boxes, 0)
        known = self.store_all(turn, batch)
        assert not known


def _need_one(ids: list[str]) -> None:
    if len(ids) > 1:
        raise Apart
