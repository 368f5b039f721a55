"""Leasing: what waits is handed out to sessions that have credit for it.

`attempt` is durable and counts leases granted; it is raised in the transaction after
which the delivery is spoken, so a broker that dies cannot forget that a message was
shown. The lease itself lives in memory: a takeover ends all leases.
"""

from __future__ import annotations

from ipcbus.broker.ends import Ends
from ipcbus.broker.mailbox import Mailbox, Mailboxes
from ipcbus.broker.sessions import Session, Sessions
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.protocol.pieces import unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import Waiting


class Leasing:
    """Hands out what waits."""

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
        self.resting: set[int] = set()
        """Numbers of egress mailboxes from which nothing goes out until all is woken
        whose time has come: what is woken first may not be what comes first."""

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
        if box.blocked and self._ends.is_behind(turn.now.wall):
            self.resting.add(box.number)
            return
        self.resting.discard(box.number)
        raised: list[tuple[int, int, int, int]] = []
        while self._sessions.any_room(box.number):
            waiting = box.head(self._mail)
            if waiting is None:
                break
            entry = waiting.entry
            if entry.expires and entry.expires <= turn.now.wall:
                break  # the sweep of the next turn, due at once, takes it away
            if box.blocked and self._put_off(turn, box, waiting):
                continue
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

    def _put_off(self, turn: Turn, box: Mailbox, waiting: Waiting) -> bool:
        """Whether the next entry joins a stream that is put off; then it waits too."""
        assert box.blocked is not None
        stream = stream_of(waiting)
        due = box.blocked.get(stream, 0)
        if due <= turn.now.wall:
            box.blocked.pop(stream, None)
            return False
        box.pop()
        entry = waiting.entry
        self._mail.set_due([(due, entry.mailbox, entry.rank, entry.seq)])
        self._ends.watch(due)
        return True

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


def stream_of(waiting: Waiting) -> tuple[str, str, int]:
    """What of an egress mailbox keeps its order among itself."""
    header = unpack_header(waiting.header)
    return header.sender, header.to, waiting.entry.rank


def with_attempt(waiting: Waiting, attempt: int) -> Waiting:
    return waiting._replace(entry=waiting.entry._replace(attempt=attempt))
