"""What a bridge hands over: messages of another network, on their way into mailboxes.

Nothing that a bridge says of itself counts. Which network a message comes from follows
from the key of the session; who sent it must be of that network, or of the first one
of its hops, which brokers wrote. Checked are, in this order: hops, sender, the right to
answer, the owner's grant, bounds, recipient. Then it is stored, together with the id by
which it will be known again, and with the right of its receivers to answer.

A verdict for each message: `accepted`, `duplicate` (there already: as good), `deferred`
(a bound that will pass), `refused`.
"""

from __future__ import annotations

from typing import Any

from ipcbus.broker.batch import OVERHEAD, Apart, Batch
from ipcbus.broker.blobs import Attachments
from ipcbus.broker.border import FULL, NO_ROOM, Arriving, Border, Verdict, refused
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import (
    BOUNCE_KINDS,
    ID_CONFLICT,
    LOOP,
    NO_SUCH_AGENT,
    NOT_CARRIED,
    NOT_PERMITTED,
    TOO_BIG,
)
from ipcbus.broker.links import IN, OUT, Link, Links
from ipcbus.broker.mailbox import Mailbox, Mailboxes
from ipcbus.broker.rights import Rights
from ipcbus.broker.routing import Route
from ipcbus.broker.sending import Sending
from ipcbus.broker.sessions import Session
from ipcbus.broker.settings import Settings
from ipcbus.broker.trail import arrivals, refusals
from ipcbus.broker.turn import Turn
from ipcbus.errors import (
    BoundExceeded,
    InvalidMessage,
    LinkFenced,
    NotPermitted,
    UnknownRecipient,
)
from ipcbus.protocol.address import BROKER_NAME, Kind, arriving, fold, matches
from ipcbus.protocol.alike import pack_digested, runs_alike
from ipcbus.protocol.messages import (
    ACCEPTED,
    BOUNCE,
    CONTROL,
    DEFERRED,
    DUPLICATE,
    FLAG_GRANTED,
    FLAG_TRANSIT,
    RECEIPTS,
    REFUSED,
    TRUST_FOREIGN,
    Accepted,
    Header,
    Move,
    RefusedCall,
    Xfer,
)
from ipcbus.protocol.pieces import digest_of, unpack_header
from ipcbus.store.base import Store
from ipcbus.store.records import Row

Ways = dict[tuple[str, str, str, int, int], tuple[Arriving, Route]]


class Crossing:
    """Takes in what bridges hand over."""

    def __init__(
        self,
        network: str,
        store: Store,
        settings: Settings,
        directory: Directory,
        boxes: Mailboxes,
        links: Links,
        sending: Sending,
        blobs: Attachments,
    ) -> None:
        self._network = network
        self._store = store
        self._settings = settings
        self._directory = directory
        self._boxes = boxes
        self._links = links
        self._sending = sending
        self._guarding = sending.guarding
        self._blobs = blobs
        self._border = Border(network, links)
        self._rights = Rights(network, store.crossings)

    def transfer(self, turn: Turn, session: Session, xfer: Xfer) -> None:
        link = self._links.of(session)
        if not link.row.peer_id or xfer.epoch < link.row.seen_epoch:
            error = LinkFenced(peer=link.peer)
            turn.say(session.peer, RefusedCall(xfer.ref, *error.to_wire()))
            return
        if xfer.epoch > link.row.seen_epoch:
            self._links.put(link, seen_epoch=xfer.epoch)
        batch = Batch(self._store.room())
        verdicts = self._plan_all(turn, link, xfer, batch)
        known = self._sending.store_all(turn, batch)
        moves = [xfer.moves[at] for at in batch.positions]
        for place in known:
            at = batch.positions[place]
            told = self._known(batch.rows[place].id, xfer.moves[at])
            assert told is not None
            verdicts[at] = told
        self._rights.grant(turn, link, batch, moves, set(known))
        trail = arrivals(turn, link, batch, moves, set(known))
        trail += refusals(turn, link, self._network, xfer, verdicts)
        self._store.crossings.record(trail)
        self._guarding.tell(turn)
        rows: list[list[Any]] = [[at, *verdicts[at]] for at in sorted(verdicts)]
        turn.say(session.peer, Accepted(xfer.ref, rows))

    # --- what each one is told ---------------------------------------------------

    def _plan_all(
        self, turn: Turn, link: Link, xfer: Xfer, batch: Batch
    ) -> dict[int, tuple[str, dict[str, Any]]]:
        """Put into `batch` what can be stored; by position, what the rest is told."""
        verdicts: dict[int, tuple[str, dict[str, Any]]] = {}
        put_off: dict[tuple[str, str, int], Verdict] = {}
        ways: Ways = {}
        runs = runs_alike(xfer.moves)[::-1]
        while runs:
            run = runs.pop()
            move, bodies = xfer.moves[run.start], xfer.bodies[run.start : run.stop]
            size = sum(map(len, bodies)) + len(run) * (len(move.meta or b"") + OVERHEAD)
            stream = (move.sender, move.to, move.priority)
            try:
                if stream in put_off:
                    raise put_off[stream]  # or it would overtake what was put off
                if size >= batch.room:
                    raise Verdict(DEFERRED, NO_ROOM, f"{self._network} has no room")
                moves = xfer.moves[run.start : run.stop]
                self._plan(turn, link, batch, moves, bodies, ways)
            except (Verdict, Apart) as verdict:
                if len(run) > 1 or isinstance(verdict, Apart):
                    runs += [range(at, at + 1) for at in reversed(run)]
                    continue
                if verdict.outcome == DEFERRED:
                    put_off[stream] = verdict
                # What was accepted once stays so, whatever has changed since.
                id_ = arriving(move.id, link.peer, self._network)
                round_ = self._border.came_round(move)
                known = None if round_ else self._known(id_, move)
                verdicts[run.start] = known or (verdict.outcome, verdict.facts)
                continue
            batch.room -= size
            batch.positions += run
        return verdicts

    def _known(self, id_: str, move: Move) -> tuple[str, dict[str, Any]] | None:
        """What to tell of an id that is here already."""
        row = self._store.mail.find(id_)
        if row is None:
            return None
        if (digest_of(row.header) if row.header else row.body) == move.digest:
            return DUPLICATE, {}
        reason = f"id {move.id} was used before with other content"
        return REFUSED, {"status": ID_CONFLICT, "reason": reason}

    def _plan(
        self,
        turn: Turn,
        link: Link,
        batch: Batch,
        moves: list[Move],
        bodies: list[bytes],
        ways: Ways,
    ) -> None:
        """Put moves alike into the batch. Raises the verdict, or that each must be
        taken alone."""
        move = moves[0]
        if len(moves) > 1 and not self._are_plain(moves, bodies):
            raise Apart
        said, way = self._place(turn, link, move, bodies[0], ways)
        ids = [said.id]
        if len(moves) > 1:
            ids = [f"{move.id}@{link.peer}" for move in moves]
        header = self._header(turn, link, said, way)
        packed = pack_digested(header, ids, [move.digest for move in moves])
        looked = self._guarding.arriving(turn, said, header.thread, bodies[0], way)
        columns = (header, ids, packed, bodies)
        expires = header.expires_at or 0
        try:
            self._sending.put(batch, link.number, *columns, way.boxes, expires)
        except BoundExceeded as error:
            raise Verdict(DEFERRED, FULL, str(error)) from error
        self._guarding.note(turn, looked, ids)
        if way.grant is not None:
            self._sending.use_later(turn, batch, way.grant)
        if len(said.hops) > 1:
            self._links.pin(*said.hops[0].split("/", 1))

    def _header(self, turn: Turn, link: Link, said: Arriving, way: Route) -> Header:
        move, wall = said.move, turn.now.wall
        flags = move.flags & RECEIPTS
        if way.link is not None and way.grant is not None:
            flags |= FLAG_GRANTED
        return Header(
            said.id,
            said.sender,
            str(said.to),
            move.kind,
            move.priority,
            wall,
            None if move.ttl_ms is None else wall + move.ttl_ms,
            move.thread and arriving(move.thread, link.peer, self._network),
            said.reply_to,
            TRUST_FOREIGN,
            said.hops,
            move.attachments,
            move.meta,
            move.digest,
            flags,
        )

    # --- checks --------------------------------------------------------------------

    def _place(
        self, turn: Turn, link: Link, move: Move, body: bytes, ways: Ways
    ) -> tuple[Arriving, Route]:
        """A move in our words, and where it goes: found once for all of a batch that
        differ in what they say alone. Raises the verdict."""
        key = (move.sender, move.to, move.kind, move.flags, move.max_hops)
        found = ways.get(key)
        plain = self._are_plain([move], [body])
        if found is not None and plain:
            said, way = found
            return Arriving(move, f"{move.id}@{link.peer}", *said[2:]), way
        said = self._border.read(link, move)
        way = self._way(turn, link, said, body)
        if plain:
            ways[key] = said, way  # nothing changes it in this turn
        return said, way

    def _are_plain(self, moves: list[Move], bodies: list[bytes]) -> bool:
        """Whether nothing of moves alike needs a look but where they come from and go
        to."""
        move = moves[0]
        return not (
            move.reply_to is not None
            or move.hops
            or move.attachments
            or max(map(len, bodies)) > self._settings.max_body
            or any("@" in move.id for move in moves)
        )

    def _way(self, turn: Turn, link: Link, said: Arriving, body: bytes) -> Route:
        """Where it goes. Raises the verdict if it may not, or not now."""
        move, to = said.move, said.to
        if move.kind == CONTROL:  # whatever the rules and grants say
            raise refused(NOT_PERMITTED, "control messages stay in their network")
        back = self._answer(turn, link, said)
        if back is None:
            self._check_new(link, said)
        if len(body) > self._settings.max_body:
            limit = self._settings.max_body
            reason = f"{len(body)} bytes are more than the {limit} of {self._network}"
            raise refused(TOO_BIG, reason)
        if move.attachments:
            try:
                self._blobs.check(link.number, move.attachments)
            except InvalidMessage as error:
                raise refused(NOT_CARRIED, "its attachments did not come") from error
        if back is not None:
            return back
        match to.kind:
            case Kind.AGENT:
                return Route([self._mailbox(turn, to.name)], ACCEPTED, {})
            case Kind.TOPIC:
                return Route(self._readers(link, said), ACCEPTED, {})
            case Kind.FOREIGN:
                return self._onward(link, said)
        raise refused(NOT_PERMITTED, "what is for everyone stays in its network")

    def _check_new(self, link: Link, said: Arriving) -> None:
        """What is no answer: not of a broker, not from too far, and let in."""
        move = said.move
        if move.kind == BOUNCE or said.sender.startswith(f"{BROKER_NAME}@"):
            raise refused(NOT_PERMITTED, "it answers nothing that was sent from here")
        if len(said.hops) > 1 and (
            not move.flags & FLAG_TRANSIT or len(said.hops) > move.max_hops
        ):
            raise refused(LOOP, f"it came through {len(said.hops)} networks")
        to = (
            f"{said.to}@{self._network}" if said.to.kind is Kind.AGENT else str(said.to)
        )
        if not link.passes(IN, said.sender, to):
            reason = f"the owner of {self._network} lets no such mail in"
            raise refused(NOT_PERMITTED, reason)

    def _answer(self, turn: Turn, link: Link, said: Arriving) -> Route | None:
        """The way of what answers a message that went out by this link: to its sender,
        or back to where it came from."""
        reply_to = said.reply_to
        if reply_to is None or said.to.kind not in (Kind.AGENT, Kind.FOREIGN):
            return None
        broker = said.sender.startswith(f"{BROKER_NAME}@")
        if broker and said.move.kind not in BOUNCE_KINDS:
            return None
        if "@" in reply_to:
            replier = BROKER_NAME if broker else self._replier(said, reply_to)
            back = self._sending.routing.answer(turn, replier, str(said.to), reply_to)
            return None if back is None or back.link is link else back
        row = self._store.mail.find(reply_to)
        if row is None or not self._went_by(link, row.mailbox, row.seq):
            return None
        if said.to.kind is not Kind.AGENT or not row.sender:
            return None
        box = self._boxes[row.sender]
        called = _was_called(said.to.name, row) if row.header else broker
        if not called and self._mailbox(turn, said.to.name) is not box:
            return None
        return Route([box], ACCEPTED, {})

    def _replier(self, said: Arriving, reply_to: str) -> str:
        """Who answers, as it was called when what it answers went on to its network:
        that one knows its agents by more than a name, and has let this answer out."""
        sender = fold(said.sender)
        row = self._store.mail.find(reply_to)
        if not said.move.flags & FLAG_GRANTED or row is None or not row.header:
            return sender
        to = fold(unpack_header(row.header).to)
        same = to.rpartition("@")[1:] == sender.rpartition("@")[1:]
        return to if same else sender

    def _went_by(self, link: Link, mailbox: int, seq: int) -> bool:
        if mailbox:
            return mailbox == link.number
        return self._store.archive.was_sent(seq, link.number)

    def _mailbox(self, turn: Turn, name: str) -> Mailbox:
        found = self._directory.named(name)
        if found is None or not found.registered:
            found = self._directory.forwarded(name, turn.now.wall)
        if found is None:
            reason = f"nobody is called {name} in {self._network}"
            raise refused(NO_SUCH_AGENT, reason)
        return self._boxes[found.number]

    def _readers(self, link: Link, said: Arriving) -> list[Mailbox]:
        """Who of here reads a topic, and the links that carry it on."""
        topic = said.to.name
        boxes = []
        for number in self._directory.readers(topic):
            onward = self._links.get(number)
            if onward is None or self._goes_on(link, onward, said):
                boxes.append(self._boxes[number])
        if not boxes:
            raise refused(NO_SUCH_AGENT, f"nobody reads {said.to} in {self._network}")
        return boxes

    def _goes_on(self, link: Link, onward: Link, said: Arriving) -> bool:
        return (
            onward is not link
            and onward.leads_out
            and bool(said.move.flags & FLAG_TRANSIT)
            and not any(hop.endswith(f"/{onward.row.peer_id}") for hop in said.hops)
            and any(matches(pattern, said.to.name) for pattern in onward.terms.transit)
            and onward.passes(OUT, said.sender, str(said.to))
        )

    def _onward(self, link: Link, said: Arriving) -> Route:
        """To a third network."""
        if not said.move.flags & FLAG_TRANSIT:
            raise refused(LOOP, "no rule lets it go on to a third network")
        try:
            route = self._sending.routing.to_network(said.to, said.sender)
        except (UnknownRecipient, NotPermitted) as error:
            raise refused(NO_SUCH_AGENT, str(error)) from error
        if route.link is link:
            raise refused(LOOP, f"the way to {said.to} leads back to {link.peer}")
        return route


def _was_called(name: str, row: Row) -> bool:
    """Whether the sender of what is answered had this name then; it may have another
    now, and somebody else may have this."""
    return fold(unpack_header(row.header).sender) == fold(name)
