"""How a message ends other than by being acked: expired, dead, bounced.

Its sender is told by a bounce, a message of kind `bounce` from the broker with a
status as in mail (RFC 3463). Bounces, acks and what the broker wrote itself never
cause another.
"""

from __future__ import annotations

from collections.abc import Callable

from ipcbus.broker.directory import Directory
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.protocol.address import fold
from ipcbus.protocol.messages import ACK, BOUNCE, TRUST_BROKER, Header
from ipcbus.protocol.pieces import unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import Entry, Key, Waiting

EXPIRED = "4.4.7"
NO_SUCH_AGENT = "5.1.1"
MAILBOX_FULL = "5.2.2"
GIVEN_UP = "5.3.0"

CODES = {
    EXPIRED: "expired",
    NO_SUCH_AGENT: "no_such_agent",
    MAILBOX_FULL: "mailbox_full",
    GIVEN_UP: "given_up",
}
"""Status of a bounce -> its word."""

SWEEP = 500
"""Entries that one turn expires or wakes at most; the next turn goes on at once."""

Notify = Callable[[Turn, Header, str, str, str], None]
"""`(turn, header of the message, address that failed, status, reason)`."""


class Ends:
    """Attributes:
    wake_at: no entry of the store becomes due or expires before this (UTC ms);
        None for never.
    """

    def __init__(self, mail: Mail, settings: Settings, directory: Directory) -> None:
        self._mail = mail
        self._settings = settings
        self._directory = directory
        self._notify: Notify | None = None
        self.wake_at = mail.next_deadline()

    def bounce_through(self, notify: Notify) -> None:
        """Bounces are messages, and go out the way all messages go."""
        self._notify = notify

    def watch(self, when: int) -> None:
        """Something becomes due or expires at `when`."""
        if self.wake_at is None or when < self.wake_at:
            self.wake_at = when

    def sweep(
        self,
        turn: Turn,
        boxes: Callable[[int], Mailbox],
        woken: Callable[[Turn, Entry], None],
    ) -> None:
        """Wake what was delayed and end what has expired by now."""
        if self.wake_at is None or self.wake_at > turn.now.wall:
            return
        for entry in self._mail.due(turn.now.wall, SWEEP):
            self._mail.set_due([(0, entry.mailbox, entry.rank, entry.seq)])
            woken(turn, entry)
        for waiting in self._mail.expired(turn.now.wall, SWEEP):
            self._expire(turn, boxes(waiting.entry.mailbox), waiting)
        self.wake_at = self._mail.next_deadline()

    def _expire(self, turn: Turn, box: Mailbox, waiting: Waiting) -> None:
        entry = waiting.entry
        if entry.seq in box.leases:
            # Somebody works on it: its time ends with the lease, not under the hands.
            lease = box.leases[entry.seq]
            left_ms = max(1, int((lease.deadline - turn.now.mono) * 1000))
            later = turn.now.wall + left_ms
            self._mail.set_expires([(later, entry.mailbox, entry.rank, entry.seq)])
            return
        agent = self._directory.agent(box.number)
        header = unpack_header(waiting.header)
        self._take_out(turn, box, entry)
        if agent.registered:
            turn.counted["expired"] += 1
            self._bounce(turn, header, header.to, EXPIRED, "nobody took it in time")
        else:
            turn.counted["bounced"] += 1
            reason = "nobody registered that name in time"
            self._bounce(turn, header, agent.name, NO_SUCH_AGENT, reason)

    def _take_out(self, turn: Turn, box: Mailbox, entry: Entry) -> None:
        key = Key(entry.mailbox, entry.rank, entry.seq)
        box.rewind((entry.rank, entry.seq))
        box.count(-1, -entry.size)
        turn.touched.add(box.number)
        self._mail.remove([key], keep=self._settings.history_ms > 0)

    def bury(self, turn: Turn, box: Mailbox, key: Key, reason: str) -> None:
        """Too many attempts: a dead letter, kept until replayed or dropped."""
        waiting = self._mail.get(key)
        assert waiting is not None
        box.rewind((key.rank, key.seq))
        box.count(-1, -waiting.entry.size)
        turn.touched.add(box.number)
        turn.counted["dead"] += 1
        self._mail.bury(key, CODES[GIVEN_UP], reason, turn.now.wall)
        header = unpack_header(waiting.header)
        name = self._directory.name(box.number)
        attempts = f"given up after {waiting.entry.attempt} attempts: {reason}"
        self._bounce(turn, header, name, GIVEN_UP, attempts)

    def full(self, turn: Turn, header: Header, number: int) -> None:
        """One mailbox of many was full; the others got the message."""
        name = self._directory.name(number)
        self._bounce(turn, header, name, MAILBOX_FULL, f"the mailbox of {name} is full")

    def _bounce(
        self, turn: Turn, header: Header, to: str, status: str, reason: str
    ) -> None:
        assert self._notify is not None
        if header.kind in (BOUNCE, ACK) or header.trust == TRUST_BROKER:
            return
        self._notify(turn, header, to, status, reason)

    def addressee(self, turn: Turn, header: Header) -> int | None:
        """Where a bounce goes: the sender, if it is of this network."""
        found = self._directory.named(header.sender)
        if found is None:
            found = self._directory.forwarded(fold(header.sender), turn.now.wall)
        return None if found is None else found.number
