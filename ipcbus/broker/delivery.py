"""Out of mailboxes: leases, settling, redelivery.

`attempt` is durable and counts leases granted; it is raised in the transaction after
which the delivery is spoken, so a broker that dies cannot forget that a message was
shown. The lease itself lives in memory: a takeover ends all leases, and a client
that still works on a message takes it up again by its receipt, `(seq, attempt)`. A
receipt is good while nobody else was given the message since; then it is stale.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipcbus.broker.ends import Ends
from ipcbus.broker.mailbox import Lease, Mailbox
from ipcbus.broker.sessions import Session, Sessions
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import Settle, Settled
from ipcbus.protocol.pieces import unroll
from ipcbus.store.base import Mail
from ipcbus.store.records import Entry, Key, Waiting
from ipcbus.store.records import Mailbox as Total


class Mailboxes(dict[int, Mailbox]):
    """All mailboxes by number; one that never held anything is made when asked for."""

    def __init__(self, totals: list[Total]) -> None:
        super().__init__((total.mailbox, Mailbox(*total)) for total in totals)

    def __missing__(self, number: int) -> Mailbox:
        box = self[number] = Mailbox(number)
        return box


class Delivery:
    """Hands out what waits, and takes in what became of it."""

    def __init__(
        self,
        mail: Mail,
        settings: Settings,
        boxes: Mailboxes,
        sessions: Sessions,
        ends: Ends,
    ) -> None:
        self._mail = mail
        self._settings = settings
        self._boxes = boxes
        self._sessions = sessions
        self._ends = ends
        self.leased: set[int] = set()
        """Numbers of the mailboxes that may have leases."""

    # --- a message arrives -------------------------------------------------

    def reserve(self, box: Mailbox, reply_to: str | None, size: int) -> Session | None:
        """The session that gets a new message at once, its credit taken; or None.

        With it the message is stored as leased already, and nobody reads it back.
        `arrive` or `cancel` must follow.
        """
        box.messages += 1
        box.bytes += size
        session = None
        if reply_to is not None:
            session = self._sessions.awaiting(box.number, reply_to)
        if session is None and box.drained():
            session = self._sessions.taker(box.number, size)
        if session is None:
            box.arriving += 1
        else:
            session.take(size)
        return session

    def cancel(self, box: Mailbox, size: int, session: Session | None) -> None:
        """The message of a `reserve` was not stored."""
        box.count(-1, -size)
        if session is None:
            box.arriving -= 1
        else:
            session.give_back(size)

    def arrive(
        self,
        turn: Turn,
        box: Mailbox,
        waiting: Waiting,
        session: Session | None,
        reply_to: str | None,
    ) -> None:
        """A new entry is in the store; `session` is what `reserve` said of it."""
        turn.touched.add(box.number)
        if session is not None:
            self._grant(turn, box, waiting, session)
            if reply_to is not None:
                session.awaits.discard(reply_to)
            return
        box.arriving -= 1
        if any(mate.credit for mate in self._sessions.of_agent(box.number)):
            box.push(waiting)
        elif box.horizon > waiting.entry[1:3]:
            box.forget()

    # --- what waits is handed out ------------------------------------------

    def pump(self, turn: Turn, box: Mailbox) -> None:
        """Lease what credit allows; afterwards nothing waits that could go out."""
        raised: list[tuple[int, int, int, int]] = []
        while self._sessions.any_room(box.number):
            waiting = box.head(self._mail)
            if waiting is None:
                break
            entry = waiting.entry
            if entry.expires and entry.expires <= turn.now.wall:
                break  # the sweep of the next turn, due at once, takes it away
            session = self._sessions.taker(box.number, entry.size)
            if session is None:
                break
            box.pop()
            session.take(entry.size)
            attempt = entry.attempt + 1
            raised.append((attempt, entry.mailbox, entry.rank, entry.seq))
            self._grant(turn, box, with_attempt(waiting, attempt), session)
        if raised:
            self._mail.set_attempts(raised)

    def hand_reply(self, turn: Turn, session: Session, id_: str) -> bool:
        """Give `session` the reply to `id_` if it is there and nobody holds it."""
        box = self._boxes[session.agent]
        waiting = self._mail.find_reply(box.number, id_)
        held = waiting is not None and waiting.entry.seq in box.leases
        if waiting is None or held or waiting.entry.due:
            session.awaits.add(id_)
            return False
        session.awaits.discard(id_)
        self._lease_again(turn, box, waiting, session)
        return True

    def hand_replies(self, turn: Turn, box: Mailbox) -> None:
        """What came back in this turn may be a reply that somebody awaits."""
        for session in self._sessions.of_agent(box.number):
            for id_ in list(session.awaits):
                self.hand_reply(turn, session, id_)

    def _lease_again(
        self, turn: Turn, box: Mailbox, waiting: Waiting, session: Session
    ) -> None:
        entry = waiting.entry
        attempt = entry.attempt + 1
        self._mail.set_attempts([(attempt, entry.mailbox, entry.rank, entry.seq)])
        box.rewind((entry.rank, entry.seq))
        session.take(entry.size)
        self._grant(turn, box, with_attempt(waiting, attempt), session)

    def _grant(
        self, turn: Turn, box: Mailbox, waiting: Waiting, session: Session
    ) -> None:
        """The entry is stored with this attempt, and the session's credit taken."""
        attempt = waiting.entry.attempt
        box.lease(waiting, session, attempt, turn.now.mono)
        self.leased.add(box.number)
        turn.hand(session.peer, waiting, attempt)
        turn.counted["delivered"] += 1
        if attempt > 1:
            turn.counted["redelivered"] += 1

    # --- what became of it -------------------------------------------------

    def settle(self, turn: Turn, session: Session, settle: Settle) -> None:
        box = self._boxes[session.agent]
        stale = self._ack(turn, box, unroll(settle.acks))
        for seq, attempt, delay_ms, reason in settle.nacks:
            if not self.nack(turn, box, seq, attempt, delay_ms, reason):
                stale.append(seq)
        for seq, attempt, lease_ms in settle.extends:
            if not self.extend(turn, box, session, seq, attempt, lease_ms):
                stale.append(seq)
        stale += self._release(turn, box, unroll(settle.releases))
        turn.say(session.peer, Settled(settle.ref, stale))
        turn.touched.add(box.number)

    def _ack(
        self, turn: Turn, box: Mailbox, receipts: list[tuple[int, int]]
    ) -> list[int]:
        """Returns those that were stale."""
        done: list[Key] = []
        stale = []
        size = 0
        for seq, attempt in receipts:
            lease = box.leases.get(seq)
            if lease is None or lease.attempt != attempt:
                lease = self._held(turn, box, seq, attempt)
                if lease is None:
                    stale.append(seq)
                    continue
            box.unlease(seq)
            size += lease.size
            done.append(Key(box.number, lease.rank, seq))
        if done:
            box.count(-len(done), -size)
            self._mail.remove(done, keep=self._settings.history_ms > 0)
            turn.counted["acked"] += len(done)
            turn.touched.add(box.number)
        return stale

    def ack(self, turn: Turn, box: Mailbox, seq: int, attempt: int) -> bool:
        return not self._ack(turn, box, [(seq, attempt)])

    def nack(
        self,
        turn: Turn,
        box: Mailbox,
        seq: int,
        attempt: int,
        delay_ms: int,
        reason: str | None,
    ) -> bool:
        """Refused by its receiver: again after the delay, or a dead letter."""
        lease = self._held(turn, box, seq, attempt)
        if lease is None:
            return False
        turn.counted["nacked"] += 1
        self._come_back(turn, box, seq, reason or "refused by its receiver", delay_ms)
        return True

    def extend(
        self,
        turn: Turn,
        box: Mailbox,
        session: Session | None,
        seq: int,
        attempt: int,
        lease_ms: int,
    ) -> bool:
        """A longer lease from now; a lease lost in a takeover is taken up again.

        It moves to the session that asks, if one does: of two connections of a client
        the older may not be known to be dead yet.
        """
        lease = self._held(turn, box, seq, attempt, session)
        if lease is None:
            return False
        if session is not None and lease.session is not session:
            if lease.session is not None:
                lease.session.give_back(lease.size)
            session.take(lease.size)
            lease.session = session
        lease.deadline = turn.now.mono + lease_ms / 1000
        box.earliest = min(box.earliest, lease.deadline)
        return True

    def _release(
        self, turn: Turn, box: Mailbox, receipts: list[tuple[int, int]]
    ) -> list[int]:
        """Never shown to anybody: back in its place, and the attempt not counted."""
        stale = []
        lowered = []
        for seq, attempt in receipts:
            lease = box.leases.get(seq)
            if lease is None or lease.attempt != attempt:
                stale.append(seq)
                continue
            box.unlease(seq)
            lowered.append((attempt - 1, box.number, lease.rank, seq))
            box.rewind((lease.rank, seq))
        if lowered:
            self._mail.set_attempts(lowered)
            turn.touched.add(box.number)
            turn.returned.add(box.number)
        return stale

    def _held(
        self,
        turn: Turn,
        box: Mailbox,
        seq: int,
        attempt: int,
        session: Session | None = None,
    ) -> Lease | None:
        """The lease of a receipt, taken up again if nobody was given it since."""
        lease = box.leases.get(seq)
        if lease is not None:
            return lease if lease.attempt == attempt else None
        entry = self._unleased(box, seq, attempt)
        if entry is None:
            return None
        box.rewind((entry.rank, seq))
        if session is not None:
            session.take(entry.size)
        lease = Lease(
            session, entry.rank, attempt, turn.now.mono, entry.size, entry.shared
        )
        box.leases[seq] = lease
        box.earliest = turn.now.mono
        self.leased.add(box.number)
        return lease

    def _unleased(self, box: Mailbox, seq: int, attempt: int) -> Entry | None:
        """The entry of a receipt that has no lease. Rare: after a takeover, or late."""
        if attempt == 0:
            return None
        for rank in range(PRIORITIES):
            waiting = self._mail.get(Key(box.number, rank, seq))
            if waiting is not None:
                entry = waiting.entry
                return entry if entry.attempt == attempt and not entry.due else None
        return None

    # --- coming back -------------------------------------------------------

    def _come_back(
        self, turn: Turn, box: Mailbox, seq: int, reason: str, delay_ms: int = 0
    ) -> None:
        """A leased entry waits again, or is given up after too many attempts."""
        lease = box.unlease(seq)
        key = Key(box.number, lease.rank, seq)
        turn.touched.add(box.number)
        if lease.attempt >= self._settings.max_attempts:
            self._ends.bury(turn, box, key, reason)
            return
        box.rewind((lease.rank, seq))
        turn.returned.add(box.number)
        if delay_ms:
            due = turn.now.wall + delay_ms
            self._mail.set_due([(due, *key)])
            self._ends.watch(due)

    def lose(self, turn: Turn, session: Session) -> None:
        """A session ended without a word: what it held comes back."""
        for box, seq in self._held_by(session):
            self._come_back(turn, box, seq, "its receiver's session was lost")

    def bye(self, turn: Turn, session: Session, *, keep_leases: bool) -> None:
        """A session ends. Leases stay for others of the agent to settle, or what is
        held was never shown and is released."""
        held = list(self._held_by(session))
        if keep_leases:
            for box, seq in held:
                lease = box.leases[seq]
                session.give_back(lease.size)
                lease.session = None
            return
        for box, seq in held:
            self._release(turn, box, [(seq, box.leases[seq].attempt)])
            turn.touched.add(box.number)

    def _held_by(self, session: Session) -> Iterator[tuple[Mailbox, int]]:
        if session.agent and session.held:
            box = self._boxes[session.agent]
            held = [seq for seq, le in box.leases.items() if le.session is session]
            yield from ((box, seq) for seq in sorted(held))

    def run_out(self, turn: Turn) -> None:
        """Leases whose time is over come back."""
        for number in list(self.leased):
            box = self._boxes[number]
            for seq in sorted(box.run_out(turn.now.mono)):
                self._come_back(turn, box, seq, "its lease ran out")
            if not box.leases:
                self.leased.discard(number)

    def woken(self, turn: Turn, entry: Entry) -> None:
        """A delayed entry is ready: the store has it in its place again."""
        box = self._boxes[entry.mailbox]
        box.rewind((entry.rank, entry.seq))
        turn.touched.add(entry.mailbox)
        turn.returned.add(entry.mailbox)


def with_attempt(waiting: Waiting, attempt: int) -> Waiting:
    return waiting._replace(entry=waiting.entry._replace(attempt=attempt))
