"""The core: one network's broker as a state machine over batches.

    actions = broker.handle(events, now)

It never waits, and knows no socket, clock or thread. What must outlive it goes to the
store it was given, inside the transaction that the caller opened before `handle` and
commits after it; what it returns is to be done after that commit, in order. An
exception out of `handle` means that this core must not be used again: a new one is
made from the store, exactly as after a takeover.

The parts, each with its own invariants (`check_invariants` holds all of them):

    directory   who there is            sessions   who is connected
    mailbox     what waits, in memory   delivery   leases out, settling in
    sending     into mailboxes          ends       expiry, dead letters
    notices     bounces, and news       blobs      attachments
    links       ways to other networks  crossing   what comes by them
    returns     what left by them       calls      questions and orders
    guarding    who answers for ever    pauses     what a person stopped
    news        who waits for mail
"""

from __future__ import annotations

from collections.abc import Sequence

from ipcbus.broker import reception
from ipcbus.broker.blobs import Attachments
from ipcbus.broker.calls import Desk, free_names, sweep_invitations
from ipcbus.broker.calls_links import tell_late
from ipcbus.broker.crossing import Crossing
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.events import (
    Action,
    BackedUp,
    Broken,
    Event,
    Now,
    PeerLost,
    Received,
)
from ipcbus.broker.guarding import Guarding
from ipcbus.broker.links import Links
from ipcbus.broker.mailbox import Mailboxes
from ipcbus.broker.news import News
from ipcbus.broker.notices import Notices
from ipcbus.broker.pauses import Pauses
from ipcbus.broker.returns import Returns
from ipcbus.broker.sending import Sending
from ipcbus.broker.sessions import Session, Sessions
from ipcbus.broker.settings import Settings
from ipcbus.broker.sums import check_counters, check_mailboxes, is_durable
from ipcbus.broker.turn import Turn
from ipcbus.errors import (
    Disconnected,
    IpcbusError,
    LinkFenced,
    NotPermitted,
    RemoteProtocolError,
    StoreFailed,
    VersionMismatch,
)
from ipcbus.protocol import limits
from ipcbus.protocol.calls import Role
from ipcbus.protocol.messages import (
    Answer,
    Bye,
    Call,
    ClientMessage,
    Credit,
    Hello,
    Ping,
    Pong,
    RefusedCall,
    Return,
    Send,
    Settle,
    Welcome,
    Xfer,
)
from ipcbus.store.base import Store
from ipcbus.store.records import Mailbox, Snapshot

LEASE_TICK_S = 0.25
"""How late a lease may be found to have run out."""

SESSION_TICK_S = 1.0
"""How late a session may be found to be silent."""


class Broker:
    """Attributes:
    epoch: of this broker; sessions are told.
    """

    def __init__(
        self, network: str, settings: Settings, store: Store, snapshot: Snapshot
    ) -> None:
        self.network = network
        self.epoch = snapshot.epoch
        self._store = store
        self._directory = Directory(store.registry, settings, snapshot)
        self._sessions = Sessions()
        self._boxes = Mailboxes(snapshot.mailboxes)
        self._ends = Ends(store, settings, self._directory)
        self._blobs = Attachments(store)
        self._pauses = Pauses(store.registry, snapshot.pauses)
        self._news = News(store.mail, self._boxes, self._pauses)
        self._delivery = Delivery(
            store.mail, settings, self._boxes, self._sessions, self._ends, self._pauses
        )
        self._links = Links(
            network, snapshot, store.crossings, self._directory, self._boxes
        )
        self._guarding = Guarding(network, settings, self._directory, self._links)
        self._sending = Sending(
            network,
            store,
            settings,
            self._directory,
            self._boxes,
            self._delivery,
            self._ends,
            self._blobs,
            self._links,
            self._guarding,
            snapshot.last_seq,
        )
        self._returns = Returns(store, self._links, self._delivery, self._ends)
        self._notices = Notices(self._directory, self._links, self._ends, self._sending)
        self._guarding.speak_through(self._notices.tell)
        self._counters = dict(snapshot.counters)
        self._last_seen: dict[int, int] = {}
        self._next_tick = 0.0
        self._desk_and_border(settings)

    def _desk_and_border(self, settings: Settings) -> None:
        """What works with all the other parts."""
        self._crossing = Crossing(
            self.network,
            self._store,
            settings,
            self._directory,
            self._boxes,
            self._links,
            self._sending,
            self._blobs,
        )
        self._desk = Desk(
            self.network,
            self.epoch,
            settings,
            self._store,
            self._directory,
            self._sessions,
            self._boxes,
            self._delivery,
            self._ends,
            self._notices,
            self._blobs,
            self._counters,
            self._last_seen,
            self._end,
            self._links,
            self._pauses,
            self._news,
            self._guarding,
            self._sending,
        )

    def admitted(self, wall: int) -> set[str]:
        """The public keys (hex) that may connect now (UTC ms)."""
        return {
            key.key
            for key in self._directory.all_keys()
            if not key.revoked and not 0 < key.expires <= wall
        }

    def peers(self) -> list[bytes]:
        """Everyone who has a session."""
        return [session.peer for session in self._sessions]

    def next_deadline(self, now: Now) -> float | None:
        """Seconds until `handle` wants to be called although nothing has happened."""
        waits = []
        if self._delivery.looks:
            waits.append(LEASE_TICK_S)
        if len(self._sessions):
            waits.append(max(0.0, self._next_tick - now.mono))
            waits.append(max(0.0, self._news.wake_at - now.mono))
        waits += [
            max(0.0, (wake_at - now.wall) / 1000)
            for wake_at in (self._ends.wake_at, self._directory.next_expiry())
            if wake_at is not None
        ]
        return min(waits, default=None)

    def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
        """One turn. Raises what the store raises, and nothing else."""
        turn = Turn(now)
        self._part(turn, events)
        sweep_invitations(self._desk, turn)
        self._delivery.run_out(turn)
        self._ends.sweep(turn, self._boxes.__getitem__, self._delivery.woken)
        for event in events:
            self._event(turn, event)
        if now.mono >= self._next_tick:
            self._tick(turn)
        for number in turn.returned:
            self._delivery.hand_replies(turn, self._boxes[number])
        for number in list(turn.touched):
            self._delivery.pump(turn, self._boxes[number])
        self._news.tell(turn)
        self._save(turn)
        free_names(self._desk, turn)
        return turn.actions

    # --- events ------------------------------------------------------------

    def _event(self, turn: Turn, event: Event) -> None:
        match event:
            case Received(peer, key, message):
                if isinstance(message, Hello):
                    self._hello(turn, peer, key, message)
                else:
                    self._from_session(turn, event)
            case Broken(peer, _, reason):
                self._drop(turn, peer, RemoteProtocolError(reason=reason))
            case PeerLost(peer):
                session = self._sessions.get(peer)
                if session is not None:
                    self._end(turn, session)
            case BackedUp(peer, ref, size, problem):
                if problem is None:
                    turn.say(peer, Answer(ref, [size], b""))
                else:
                    refusal = StoreFailed(reason=problem)
                    turn.say(peer, RefusedCall(ref, *refusal.to_wire()))

    def _hello(self, turn: Turn, peer: bytes, key: str, hello: Hello) -> None:
        old = self._sessions.get(peer)
        if old is not None:
            self._end(turn, old)
        if hello.major != limits.MAJOR:
            ours = f"{limits.MAJOR}.{limits.MINOR}"
            theirs = f"{hello.major}.{hello.minor}"
            return turn.close(peer, VersionMismatch(theirs=theirs, ours=ours))
        known = self._directory.key(key)
        if known is None or known.revoked:
            reason = "this key is not known here" if known is None else "it was revoked"
            return turn.close(peer, NotPermitted(reason=reason))
        role = Role(known.role)
        session = self._sessions.add(peer, key, role, known.agent, hello.program)
        session.heard = turn.now.mono
        session.minor = min(hello.minor, limits.MINOR)
        name = self._directory.name(known.agent) if known.agent else None
        turn.say(
            peer,
            Welcome(
                limits.MAJOR,
                limits.MINOR,
                self.network,
                self.epoch,
                session.number,
                name,
                role.value,
                turn.now.wall,
                self._links.network_id,
            ),
        )
        return None

    def _from_session(self, turn: Turn, event: Received) -> None:
        peer, key, message = event
        session = self._sessions.get(peer)
        if session is None or session.key != key:
            # After a takeover the first word of an old client ends here, and tells it.
            reason = "there is no session on this connection; say HELLO"
            return turn.close(peer, Disconnected(network=self.network, reason=reason))
        session.heard = turn.now.mono
        match message:
            case Ping(number):
                turn.say(peer, Pong(number, self.epoch))
            case Bye(keep_leases):
                self._delivery.bye(turn, session, keep_leases=keep_leases)
                self._forget(turn, session)
            case Call():
                reception.answer(self._desk, turn, session, message)
            case _ if session.role is Role.BRIDGE:
                self._from_bridge(turn, session, message)
            case _ if session.role is not Role.AGENT:
                reason = f"the {session.role.value} has no mailbox"
                self._drop(turn, peer, NotPermitted(reason=reason))
            case Xfer() | Return():
                reason = "only a bridge hands messages over"
                self._drop(turn, peer, NotPermitted(reason=reason))
            case Send():
                self._sending.send(turn, session, message)
            case Settle():
                self._delivery.settle(turn, session, message)
            case Credit():
                self._credit(turn, session, message)
        return None

    def _from_bridge(
        self, turn: Turn, session: Session, message: ClientMessage
    ) -> None:
        match message:
            case Xfer():
                self._crossing.transfer(turn, session, message)
            case Return():
                self._returns.take(turn, session, message)
            case Credit(ref) if self._links.of(session).leader is not session:
                error = LinkFenced(peer=self._links.of(session).peer)
                turn.say(session.peer, RefusedCall(ref, *error.to_wire()))
            case Credit():
                self._credit(turn, session, message)
            case _:
                reason = "a bridge says only what is of its link"
                self._drop(turn, session.peer, NotPermitted(reason=reason))

    def _credit(self, turn: Turn, session: Session, credit: Credit) -> None:
        session.credit = credit.messages
        session.credit_bytes = credit.bytes
        session.lease_s = credit.lease_ms / 1000
        box = self._boxes[session.agent]
        # At once, so that the answer follows what it has brought.
        self._delivery.pump(turn, box)
        turn.say(session.peer, Answer(credit.ref, [box.waiting], b""))

    # --- sessions end ------------------------------------------------------

    def _part(self, turn: Turn, events: Sequence[Event]) -> None:
        """Nothing of this turn goes to sessions that end in it: not to those that will
        be found lost, nor to those from which nothing was heard."""
        lost = {event.peer for event in events if isinstance(event, PeerLost | Broken)}
        self._sessions.part(lost)
        if turn.now.mono < self._next_tick:
            return
        speak = {event.peer for event in events if isinstance(event, Received)}
        silent = self._sessions.silent(turn.now.mono) - speak
        self._sessions.part(silent)  # all before the first ends: that may bounce mail
        reason = f"nothing was heard for {limits.PING_S * limits.PINGS_MISSED:g} s"
        for peer in sorted(silent):
            self._drop(turn, peer, Disconnected(network=self.network, reason=reason))

    def _drop(self, turn: Turn, peer: bytes, error: IpcbusError) -> None:
        turn.close(peer, error)
        session = self._sessions.get(peer)
        if session is not None:
            self._end(turn, session)

    def _end(self, turn: Turn, session: Session) -> None:
        """A session is over without BYE: what it held comes back."""
        self._delivery.lose(turn, session)
        self._forget(turn, session)

    def _forget(self, turn: Turn, session: Session) -> None:
        self._sessions.remove(session)
        self._links.lost(session)
        self._news.forget(session)
        if session.agent:
            self._last_seen[session.agent] = turn.now.wall
            if not self._sessions.of_agent(session.agent):
                self._blobs.forget(session.agent)
                self._boxes[session.agent].forget()

    def _tick(self, turn: Turn) -> None:
        self._next_tick = turn.now.mono + SESSION_TICK_S
        self._directory.expire_aliases(turn.now.wall)
        tell_late(self._desk, turn)

    # --- what the next broker must know ------------------------------------

    def _save(self, turn: Turn) -> None:
        changed = []
        for number in turn.touched:
            box = self._boxes[number]
            totals = (box.messages, box.bytes)
            if totals != box.saved:
                box.saved = totals
                changed.append(Mailbox(number, *totals))
        if changed:
            self._store.mail.put_totals(changed)
        for name, count in turn.counted.items():
            self._counters[name] = self._counters.get(name, 0) + count
        if any(map(is_durable, turn.counted)):
            self._store.registry.put_counters(self._counters)

    def check_invariants(self) -> None:
        """Everything that the parts say of themselves, and that it adds up."""
        self._sessions.check_invariants()
        self._directory.check_invariants()
        self._links.check_invariants()
        check_mailboxes(self._store.mail, self._boxes, self._sessions, self._delivery)
        check_counters(self._counters, self._boxes, self._links)
