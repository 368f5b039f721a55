"""Into mailboxes: what a client sends, and what the broker writes itself.

A message is checked, its recipients are found, and it is stored with all of its
entries in one call per batch. Only then is it handed out. Refusals are per message:
one bad one never stops the others of its batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ipcbus.broker.blobs import Attachments
from ipcbus.broker.delivery import Delivery, Mailboxes
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import CODES, Ends
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.rates import Rates
from ipcbus.broker.routing import Route, Routing
from ipcbus.broker.sessions import Session
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import (
    BoundExceeded,
    IdClash,
    InvalidMessage,
    IpcbusError,
    StoreFull,
)
from ipcbus.protocol.address import BROKER_NAME
from ipcbus.protocol.limits import DEFAULT_PRIORITY, PRIORITIES
from ipcbus.protocol.messages import (
    ACCEPTED,
    BOUNCE,
    CONTROL,
    DUPLICATE,
    FLAG_FUTURE,
    FUTURE,
    TRUST_BROKER,
    TRUST_LOCAL,
    Accepted,
    Draft,
    Header,
    Meta,
    Send,
)
from ipcbus.protocol.pieces import pack_header, pack_meta
from ipcbus.store.base import Store
from ipcbus.store.records import Agent, Entry, Row, Waiting, fingerprint

OVERHEAD = 512
"""Bytes that a stored message costs beside body and meta: header, rows, indexes."""


OWN_IDS = f"{BROKER_NAME}-"
"""How the ids of the broker's messages begin; it must find them unused."""


class Plan(NamedTuple):
    """A message to be stored, and its place in its batch.

    `entries[i]` goes to `boxes[i]`, and `takers[i]` gets it at once; the `full` ones
    are left out.
    """

    position: int
    header: Header
    row: Row
    boxes: list[Mailbox]
    entries: list[Entry]
    takers: list[Session | None]
    full: list[Mailbox]


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
        ends.bounce_through(self._bounce)

    # --- from clients ------------------------------------------------------

    def send(self, turn: Turn, session: Session, send: Send) -> None:
        agent = self._directory.agent(session.agent)
        room = self._store.room()
        exceptions: list[list[Any]] = []
        plans: list[Plan] = []
        routes: dict[str, Route] = {}
        for position, draft in enumerate(send.drafts):
            body = send.bodies[position]
            room -= len(body) + len(draft.meta or b"") + OVERHEAD
            try:
                self._check(turn, agent, draft, body, room)
                route = routes.get(draft.to)
                if route is None:
                    route = self._routing.find(turn, agent.number, draft)
                    if route.state == ACCEPTED:
                        routes[draft.to] = route  # nothing changes it in this turn
                plans.append(self._plan(turn, position, agent, draft, body, route))
            except IpcbusError as error:
                exceptions.append([position, *error.to_wire()])
                continue
            if route.state != ACCEPTED or route.facts:
                exceptions.append([position, route.state, route.facts])
        turn.counted["refused"] += len(send.drafts) - len(plans)
        known = self._store_all(turn, plans)
        if known:
            exceptions = [row for row in exceptions if row[0] not in known]
            exceptions += [
                self._again(plan) for plan in plans if plan.position in known
            ]
            turn.counted["duplicates"] += len(known)
        turn.say(session.peer, Accepted(send.ref, exceptions))

    def _check(
        self, turn: Turn, agent: Agent, draft: Draft, body: bytes, room: int
    ) -> None:
        """What does not depend on the recipient. Raises what the sender is told."""
        if draft.flags & ~FLAG_FUTURE:
            raise InvalidMessage(field="flags", reason=f"{draft.flags} is not known")
        if draft.id.startswith(OWN_IDS):
            raise InvalidMessage(field="id", reason=f"{OWN_IDS}... is the broker's own")
        self._rates.check(agent, turn.now.mono)
        most = agent.max_body or self._settings.max_body
        if len(body) > most:
            raise BoundExceeded(bound="max_body", value=len(body), limit=most)
        if room <= 0:
            raise StoreFull(network=self._network)
        if draft.attachments:
            self._blobs.check(agent.number, draft.attachments)

    def _plan(
        self,
        turn: Turn,
        position: int,
        agent: Agent,
        draft: Draft,
        body: bytes,
        route: Route,
    ) -> Plan:
        wall = turn.now.wall
        header = _header(draft, agent.name, wall)
        expires = header.expires_at or 0
        if route.state == FUTURE:
            latest = wall + self._settings.future_ms
            expires = min(expires or latest, latest)
        return self._entries(position, agent.number, header, body, route, expires)

    def _entries(
        self,
        position: int,
        sender: int,
        header: Header,
        body: bytes,
        route: Route,
        expires: int,
    ) -> Plan:
        """The plan of a message whose recipients are known; takes their credit.

        Of several recipients one whose mailbox is full is left out and bounced; a
        single one refuses the message. What the broker writes (sender 0) is never
        refused: a bounce must not be lost.
        """
        packed = pack_header(header)
        size = len(packed) + len(body)
        boxes, full = (
            self._with_room(route.boxes, size) if sender else (route.boxes, [])
        )
        self.last_seq += 1
        seq, rank = self.last_seq, PRIORITIES - 1 - header.priority
        shared = 1 if len(route.boxes) > 1 else 0
        reserve = self._delivery.reserve
        takers = [reserve(box, header.reply_to, size) for box in boxes]
        entries = [
            Entry(box.number, rank, seq, 1 if taker else 0, 0, expires, shared, size)
            for box, taker in zip(boxes, takers, strict=True)
        ]
        row = Row(
            seq,
            header.id,
            sender,
            0 if shared else boxes[0].number,
            header.accepted_at,
            header.thread,
            header.reply_to,
            packed,
            body,
        )
        return Plan(position, header, row, boxes, entries, takers, full)

    def _with_room(
        self, boxes: list[Mailbox], size: int
    ) -> tuple[list[Mailbox], list[Mailbox]]:
        """The mailboxes that can take a message of `size`, and those that are full."""
        most, most_bytes = self._settings.mailbox_messages, self._settings.mailbox_bytes
        full = [
            box
            for box in boxes
            if box.messages >= most or box.bytes + size > most_bytes
        ]
        if not full:
            return boxes, full
        if len(boxes) == 1:
            raise self._full(full[0], size)
        return [box for box in boxes if box not in full], full

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

    def _store_all(self, turn: Turn, plans: list[Plan]) -> set[int]:
        """Store the plans; the indexes of those whose id was known already."""
        if not plans:
            return set()
        known_at = set(
            self._store.mail.add(
                [plan.row for plan in plans],
                [entry for plan in plans for entry in plan.entries],
            )
        )
        for at, plan in enumerate(plans):
            if at in known_at:
                self._cancel(plan)
            else:
                self._arrive(turn, plan)
        return {plans[at].position for at in known_at}

    def _arrive(self, turn: Turn, plan: Plan) -> None:
        header, row = plan.header, plan.row
        arrive = self._delivery.arrive
        for box, entry, taker in zip(
            plan.boxes, plan.entries, plan.takers, strict=True
        ):
            waiting = Waiting(entry, row.header, row.body)
            arrive(turn, box, waiting, taker, header.reply_to)
            if entry.expires:
                self._ends.watch(entry.expires)
        turn.counted["accepted"] += len(plan.entries)
        for sha256, *_ in header.attachments or ():
            self._store.blobs.link(row.seq, sha256)
        for box in plan.full:
            self._ends.full(turn, header, box.number)

    def _cancel(self, plan: Plan) -> None:
        for box, entry, taker in zip(
            plan.boxes, plan.entries, plan.takers, strict=True
        ):
            self._delivery.cancel(box, entry.size, taker)

    def _again(self, plan: Plan) -> list[Any]:
        """What the sender of a known id is told: it is the same message, or a clash."""
        known = self._store.mail.find(plan.row.id)
        assert known is not None
        if known.sender == plan.row.sender and _same(plan, known):
            return [plan.position, DUPLICATE, {}]
        return [plan.position, *IdClash(id=plan.row.id).to_wire()]

    # --- from the broker ---------------------------------------------------

    def _bounce(
        self, turn: Turn, failed: Header, to: str, status: str, reason: str
    ) -> None:
        number = self._ends.addressee(turn, failed)
        if number is None:
            return
        data = {
            "status": status,
            "code": CODES[status],
            "reason": reason,
            "to": to,
            "id": failed.id,
        }
        text = f"Your message {failed.id} to {to} could not be delivered: {reason}."
        self.post(turn, [number], BOUNCE, text, data, failed.thread, failed.id)

    def tell(self, turn: Turn, mailboxes: list[int], text: str, data: Any) -> None:
        """A notice of the broker, of kind `control`."""
        if mailboxes:
            self.post(turn, mailboxes, CONTROL, text, data)

    def post(
        self,
        turn: Turn,
        mailboxes: list[int],
        kind: str,
        text: str,
        data: Any,
        thread: str | None = None,
        reply_to: str | None = None,
    ) -> None:
        # Named by its own seq, which is never used again: no clash is possible.
        to = self._directory.name(mailboxes[0]) if len(mailboxes) == 1 else "*"
        header = Header(
            f"{OWN_IDS}{self.last_seq + 1}",
            BROKER_NAME,
            to,
            kind,
            DEFAULT_PRIORITY,
            turn.now.wall,
            None,
            thread,
            reply_to,
            TRUST_BROKER,
            None,
            None,
            pack_meta(Meta(data=data)),
        )
        route = Route([self._boxes[number] for number in mailboxes], ACCEPTED, {})
        plan = self._entries(0, 0, header, text.encode(), route, 0)
        known = self._store_all(turn, [plan])
        assert not known


def _header(draft: Draft, sender: str, wall: int) -> Header:
    return Header(
        draft.id,
        sender,
        draft.to,
        draft.kind,
        draft.priority,
        wall,
        None if draft.ttl_ms is None else wall + draft.ttl_ms,
        draft.thread,
        draft.reply_to,
        TRUST_LOCAL,
        None,
        draft.attachments,
        draft.meta,
    )


def _same(plan: Plan, known: Row) -> bool:
    """Whether a known row has the content of `plan`: as if it were accepted then."""
    moved = known.accepted_at - plan.header.accepted_at
    expires = plan.header.expires_at
    then = plan.header._replace(
        accepted_at=known.accepted_at,
        expires_at=None if expires is None else expires + moved,
    )
    packed = pack_header(then)
    if known.header:
        return packed == known.header and plan.row.body == known.body
    return fingerprint(packed, plan.row.body) == known.body
