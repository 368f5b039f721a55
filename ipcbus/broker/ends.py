"""How a message ends other than by being acked: expired, dead, bounced.

Its sender is told by a bounce, a message of kind `bounce` from the broker with a
status as in mail (RFC 3463). Bounces, acks and what the broker wrote itself never
cause another.
"""

from __future__ import annotations

from collections.abc import Callable

from ipcbus.broker.directory import Directory
from ipcbus.broker.links import Links
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.protocol.messages import (
    ACK,
    BOUNCE,
    FLAG_ACKED,
    FLAG_RELAYED,
    TRUST_BROKER,
    Header,
)
from ipcbus.protocol.pieces import flags_of, unpack_header
from ipcbus.store.base import Store
from ipcbus.store.records import Entry, Key, Waiting

EXPIRED = "4.4.7"
NO_SUCH_AGENT = "5.1.1"
MAILBOX_FULL = "5.2.2"
GIVEN_UP = "5.3.0"
TOO_BIG = "5.3.4"
LOOP = "5.4.6"
NOT_CARRIED = "5.6.1"
NOT_PERMITTED = "5.7.1"
ID_CONFLICT = "5.7.7"
LOOP_STOPPED = "5.7.28"

CODES = {
    EXPIRED: "expired",
    NO_SUCH_AGENT: "no_such_agent",
    MAILBOX_FULL: "mailbox_full",
    GIVEN_UP: "given_up",
    TOO_BIG: "too_big",
    LOOP: "loop",
    NOT_CARRIED: "not_carried",
    NOT_PERMITTED: "not_permitted",
    ID_CONFLICT: "id_conflict",
    LOOP_STOPPED: "loop_stopped",
}
"""Status of a bounce -> its word."""

TO_DO = {
    EXPIRED: "see who is there (ipcbus agents, ipcbus route), then send it again",
    NO_SUCH_AGENT: "look for the name: ipcbus agents",
    MAILBOX_FULL: "send it again when its receiver has read some",
    GIVEN_UP: "mend it and send it anew, or have it replayed: ipcbus dead",
    TOO_BIG: "send it as an attachment, or in parts",
    LOOP: "ask who runs the bridge: ipcbus bridges explain",
    NOT_CARRIED: "send it again when the bridge has a better line",
    NOT_PERMITTED: "ask who runs the bridge: ipcbus bridges explain",
    ID_CONFLICT: "send it with a new id",
    LOOP_STOPPED: "do not send it again; tell the person you work for if it matters",
}
"""Status of a bounce -> what its reader can do."""

BOUNCE_KINDS = (BOUNCE, ACK)
"""What causes neither a bounce nor a receipt, and grants no answer."""

REFUSED = "refused"
"""The word for a status that a bridge made up."""

SWEEP = 500
"""Entries that one turn expires or wakes at most; the next turn goes on at once."""

BOUNCE_BYTES = 2048
"""What a bounce takes of the store, at most."""

END_BYTES = 4 * BOUNCE_BYTES
"""What a dead letter and its bounce take, if each begins new pages."""

ROOM_MS = 1000
"""How long a full store is given to purge before more of it is ended."""

Notify = Callable[[Turn, Header, str, str, str], None]
"""`(turn, header of the message, address that failed, status, reason)`."""

Tell = Callable[[Turn, Header, str], None]
"""`(turn, header of the message, how far it came)`."""


class Ends:
    """Attributes:
    wake_at: no entry of the store becomes due or expires before this (UTC ms);
        None for never.
    """

    def __init__(self, store: Store, settings: Settings, directory: Directory) -> None:
        self._store = store
        self._mail = mail = store.mail
        self._settings = settings
        self._directory = directory
        self._notify: Notify | None = None
        self._tell: Tell | None = None
        self._links: Links | None = None
        self.wake_at = mail.next_deadline()

    def speak_through(self, notify: Notify, tell: Tell, links: Links) -> None:
        """Bounces and receipts are messages, and go out the way all messages go."""
        self._notify, self._tell, self._links = notify, tell, links

    def watch(self, when: int) -> None:
        """Something becomes due or expires at `when`."""
        if self.wake_at is None or when < self.wake_at:
            self.wake_at = when

    def can_tell(self) -> bool:
        """Whether there is room for an end and its bounce. If not, the store is so full
        that the broker's part of the reserve is used up too."""
        return self._store.room(ours=True) >= END_BYTES

    def is_behind(self, wall: int) -> bool:
        """Whether there is more to wake or to end than one turn did."""
        return self.wake_at is not None and self.wake_at <= wall

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
        fit = min(SWEEP, self._store.room(ours=True) // BOUNCE_BYTES)
        for waiting in self._mail.expired(turn.now.wall, fit) if fit else ():
            self._expire(turn, boxes(waiting.entry.mailbox), waiting)
        self.wake_at = self._mail.next_deadline()
        if fit < SWEEP and self.is_behind(turn.now.wall):
            self.wake_at = turn.now.wall + ROOM_MS

    def _expire(self, turn: Turn, box: Mailbox, waiting: Waiting) -> None:
        entry = waiting.entry
        if entry.seq in box.leases:
            # Somebody works on it: its time ends with the lease, not under the hands.
            lease = box.leases[entry.seq]
            left_ms = max(1, int((lease.deadline - turn.now.mono) * 1000))
            later = turn.now.wall + left_ms
            self._mail.set_expires([(later, entry.mailbox, entry.rank, entry.seq)])
            box.change(entry.seq, lease._replace(over=lease.over or entry.expires))
            return
        agent = self._directory.agent(box.number)
        header = unpack_header(waiting.header)
        self._take_out(turn, box, entry)
        link = self._links.get(box.number) if self._links is not None else None
        if link is not None:
            turn.counted["expired"] += 1
            turn.counted[f"{link.peer}:expired"] += 1
            reason = f"no bridge brought it to {link.peer} in time"
            self._bounce(turn, header, header.to, EXPIRED, reason)
        elif agent.registered:
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
        dead = self._bury(turn, box, key, CODES[GIVEN_UP], reason)
        name = self._directory.name(box.number)
        attempts = f"given up after {dead.entry.attempt} attempts: {reason}"
        self._bounce(turn, unpack_header(dead.header), name, GIVEN_UP, attempts)

    def park(self, turn: Turn, box: Mailbox, key: Key, status: str, why: str) -> None:
        """The way to another network refused it: a dead letter of the link."""
        dead = self._bury(turn, box, key, CODES.get(status, REFUSED), why)
        header = unpack_header(dead.header)
        self._bounce(turn, header, header.to, status, why)

    def _bury(
        self, turn: Turn, box: Mailbox, key: Key, code: str, reason: str
    ) -> Waiting:
        waiting = self._mail.get(key)
        assert waiting is not None
        box.rewind((key.rank, key.seq))
        box.count(-1, -waiting.entry.size)
        turn.touched.add(box.number)
        turn.counted["dead"] += 1
        self._mail.bury(key, code, reason, turn.now.wall)
        return waiting

    def receipt(self, turn: Turn, box: Mailbox, key: Key, how: str) -> None:
        """Tell the sender of a message how far it came, if it wanted to know that."""
        waiting = self._mail.get(key)
        wanted = {"acked": FLAG_ACKED, "relayed": FLAG_RELAYED}.get(how, 0)
        if waiting is None or not flags_of(waiting.header) & wanted:
            return
        header = unpack_header(waiting.header)
        if header.kind not in BOUNCE_KINDS and header.trust != TRUST_BROKER:
            assert self._tell is not None
            self._tell(turn, header, how)

    def full(self, turn: Turn, header: Header, number: int) -> None:
        """One mailbox of many was full; the others got the message."""
        if not self.can_tell():
            turn.counted["unsaid"] += 1
            return
        name = self._directory.name(number)
        self._bounce(turn, header, name, MAILBOX_FULL, f"the mailbox of {name} is full")

    def _bounce(
        self, turn: Turn, header: Header, to: str, status: str, reason: str
    ) -> None:
        assert self._notify is not None
        if header.kind in BOUNCE_KINDS or header.trust == TRUST_BROKER:
            return
        self._notify(turn, header, to, status, reason)

    def addressee(self, header: Header) -> int | None:
        """Where a bounce goes: the sender's mailbox, or the link by which it came.

        The header has the name that the sender had then. It may have another since, and
        somebody else may have that one.
        """
        if header.hops:
            assert self._links is not None
            link = self._links.back(header.hops)
            return None if link is None else link.number
        row = self._mail.find(header.id)
        return None if row is None else row.sender or None
