"""News: mail that is worth waking somebody for, and who waits for it.

An ack or a receipt is none: whoever woke for these would be woken by what it said
itself. Neither is what somebody holds already, nor anything while a person has paused
the deliveries. To ask leases nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final, NamedTuple

from ipcbus.broker.mailbox import BOTTOM, Mailbox, Mailboxes
from ipcbus.broker.pauses import Pauses
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.protocol.limits import MIB, PAGE
from ipcbus.protocol.messages import ACK, Answer
from ipcbus.protocol.pieces import unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import Waiting

LOOKED_AT: Final = 2048
"""Entries that are looked at for one answer: some 10 ms. If all of them are acks, only
what has come since the broker began is known to be there."""

STEP: Final = 256
STEP_BYTES: Final = 2 * MIB


class Waiter(NamedTuple):
    """A session that wants to be told; `until` in monotonic seconds."""

    session: Session
    ref: int
    after: int
    until: float


class News:
    """Who waits, by mailbox. A session waits once at most.

    Attributes:
        wake_at: nobody has waited long enough before this (monotonic seconds).
    """

    def __init__(self, mail: Mail, boxes: Mailboxes, pauses: Pauses) -> None:
        self._mail = mail
        self._boxes = boxes
        self._pauses = pauses
        self._waiters: dict[int, dict[int, Waiter]] = {}
        self.wake_at = inf

    def look(self, number: int, after: int) -> tuple[int, int]:
        """How many news have a seq above `after` (not more than `PAGE` are counted),
        and the highest of these."""
        box = self._boxes[number]
        if self._pauses.hold(number) or not box.waiting or 0 < box.newest <= after:
            return 0, 0
        count = newest = 0
        for looked, waiting in enumerate(self._waiting(box), 1):
            seq = waiting.entry.seq
            if (
                seq > after
                and seq not in box.leases
                and unpack_header(waiting.header).kind != ACK
            ):
                count, newest = count + 1, max(newest, seq)
            if count == PAGE:
                break
            if looked >= LOOKED_AT:
                return (count, newest) if count else (int(box.newest > 0), box.newest)
        return count, newest

    def _waiting(self, box: Mailbox) -> Iterator[Waiting]:
        after = BOTTOM
        while found := self._mail.page(box.number, after, STEP, STEP_BYTES):
            yield from found
            after = found[-1].entry.rank, found[-1].entry.seq

    def wait(self, waiter: Waiter) -> Waiter | None:
        """From now on this one waits; the one of its session before it no longer."""
        mine = self._waiters.setdefault(waiter.session.agent, {})
        former = mine.pop(waiter.session.number, None)
        mine[waiter.session.number] = waiter
        self.wake_at = min(self.wake_at, waiter.until)
        return former

    def forget(self, session: Session) -> None:
        mine = self._waiters.get(session.agent)
        if mine is not None:
            mine.pop(session.number, None)
            if not mine:
                del self._waiters[session.agent]
        if not self._waiters:  # else the broker would be woken again and again
            self.wake_at = inf

    def tell(self, turn: Turn) -> None:
        """Answer those for whom this turn brought something, or whose time is over."""
        if not self._waiters:
            return
        done = self._late(turn.now.mono)
        for number in self._waiters.keys() & turn.touched:
            done += [
                waiter
                for waiter in self._waiters[number].values()
                if waiter not in done and self.look(number, waiter.after)[0]
            ]
        for waiter in done:
            self.forget(waiter.session)
            self.answer(turn, waiter)

    def _late(self, mono: float) -> list[Waiter]:
        if mono < self.wake_at:
            return []
        everyone = [w for mine in self._waiters.values() for w in mine.values()]
        ends = [waiter.until for waiter in everyone if waiter.until > mono]
        self.wake_at = min(ends, default=inf)
        return [waiter for waiter in everyone if waiter.until <= mono]

    def answer(self, turn: Turn, waiter: Waiter) -> None:
        number = waiter.session.agent
        count, newest = self.look(number, waiter.after)
        value = [count, newest, self._boxes[number].waiting, self._pauses.hold(number)]
        turn.say(waiter.session.peer, Answer(waiter.ref, value, b""))
