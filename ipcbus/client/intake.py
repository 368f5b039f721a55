"""Deliveries: how many are allowed, and where they go. Pure.

Credit has one of three purposes at a time:

    CLOSED     none; what still arrives is given back unseen
    PREFETCH   the application reads: a window of deliveries is kept in `buffer`
    a Fetch    exactly so many, for one who asked for them, and no more

A purpose changes to another only through CLOSED, and CLOSED is over when the broker
has answered CREDIT 0: until then a delivery may have been under way, and showing it
would put it before those that were just given back.

An unread buffer is not kept for ever. When half of the oldest lease has passed, the
application is busy elsewhere: all of it is given back, uncounted, and others of the
same agent can have it. What the application has taken is its own business: it acks
or extends in time, or the message comes again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Final

from ipcbus.client.calling import Calling
from ipcbus.client.message import Action, BaseMessage, Settlement
from ipcbus.client.pending import Bell, Pending
from ipcbus.client.settling import Settling
from ipcbus.errors import IpcbusError
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Credit, Deliver, Header

WINDOW_BYTES = 16 * limits.MIB
"""Bytes that an application which reads is sent ahead."""

HEAD_BYTES = 512
"""About what a header adds to a body where the broker counts bytes."""

SWEEP_S = 2.0
"""Seconds between looks for deliveries whose lease has run out."""

Make = Callable[[int, int, Header, bytes, int, float], BaseMessage]


class Fetch(Pending[tuple[list[BaseMessage], int]]):
    """At most `most` messages, waited for until `deadline` if none is there.

    Resolves to them and to how many still wait. `single`: one of any size is wanted,
    for none of `most_bytes` was to be had.
    """

    __slots__ = (
        "deadline",
        "lease_ms",
        "messages",
        "most",
        "most_bytes",
        "remaining",
        "single",
    )

    what = "a message"

    def __init__(
        self, most: int, most_bytes: int, lease_ms: int, deadline: float
    ) -> None:
        super().__init__()
        self.most = most
        self.most_bytes = most_bytes
        self.lease_ms = lease_ms
        self.deadline = deadline
        self.begin()

    def begin(self) -> None:
        """Nothing of it has come."""
        self.messages: list[BaseMessage] = []
        self.remaining: int | None = None
        self.single = False


CLOSED: Final = None
PREFETCH: Final = True
Purpose = Fetch | bool | None
Grant = tuple[int, int, int]
"""Messages, bytes, and the lease of each in milliseconds."""


class Intake:
    """Attributes:
    buffer: prefetched, unread; taken from by any thread, filled by the socket's.
    arrived: rings when something was put there.
    leases: what this client holds, unread or in the application's hands, by seq.
    bytes: of their bodies.
    reading: whether the application wants a window.
    """

    def __init__(
        self, make: Make, settling: Settling, calling: Calling, prefetch: int
    ) -> None:
        self._make = make
        self._settling = settling
        self._calling = calling
        self.buffer: deque[BaseMessage] = deque()
        self.arrived = Bell()
        self.leases: dict[int, BaseMessage] = {}
        self.bytes = 0
        self.reading = False
        self._prefetch = prefetch
        self._lease_ms = 60_000
        self._held = (0, 0)
        """Messages and bytes that the window is larger by, being held already."""
        self._fetches: deque[Fetch] = deque()
        self._ending: Fetch | None = None
        self._purpose: Purpose = CLOSED
        self._granted: Grant = (0, 0, self._lease_ms)
        self._asked: int | None = None
        self._stopped = False
        self._swept = 0.0

    # --- what the application wants ----------------------------------------

    def take(self, most: int, now: float) -> list[BaseMessage]:
        """Up to `most` that are there. Called by any thread."""
        found: list[BaseMessage] = []
        while len(found) < most and (message := self.take_one(now)) is not None:
            found.append(message)
        return found

    def take_one(self, now: float) -> BaseMessage | None:
        """The first that is there. Called by any thread."""
        buffer = self.buffer
        while buffer:
            try:
                message = buffer.popleft()
            except IndexError:  # another thread was quicker
                return None
            if message.until > now:  # else the process slept; it comes again
                return message
        return None

    def wants_more(self, lease_ms: int) -> bool:
        """Whether a reader has to say `want` before it waits. Called by any thread."""
        return (
            self._purpose is not PREFETCH
            or not self.reading
            or lease_ms != self._lease_ms
            or self._is_spent()
        )

    def want(self, lease_ms: int) -> None:
        """A reader waits. One that holds a whole window unacked gets another."""
        self.reading = True
        self._lease_ms = lease_ms
        if self._purpose is PREFETCH and self._is_spent():
            self._held = (len(self.leases), self.bytes)

    def stop(self) -> None:
        """The application reads no more. What is unread is given back at once."""
        self._stopped = True
        self._empty()
        for fetch in (*self._fetches, *filter(None, [self._ending])):
            self._give_back(fetch.messages)
            fetch.begin()
        if isinstance(self._purpose, Fetch):
            self._purpose = CLOSED

    def _is_spent(self) -> bool:
        messages, size, _ = self._granted
        return len(self.leases) >= messages or self.bytes >= size

    def find_reply(self, id_: str) -> BaseMessage | None:
        """Take the reply to `id_` out of what is unread."""
        for message in list(self.buffer):
            if message.reply_to == id_:
                try:
                    self.buffer.remove(message)
                except ValueError:  # a reader was quicker
                    continue
                return message
        return None

    def fetch(self, fetch: Fetch) -> None:
        self._fetches.append(fetch)

    def cancel(self, fetch: Fetch) -> None:
        """Who asked has gone: what came for it is given back."""
        if fetch is self._purpose:
            self._purpose = CLOSED
        if fetch is self._ending:
            self._ending = None
        if fetch in self._fetches:
            self._fetches.remove(fetch)
        self._give_back(fetch.messages)
        fetch.begin()

    # --- what the broker says ----------------------------------------------

    def deliver(self, delivered: Deliver, now: float) -> None:
        lease_ms = self._granted[2]
        lease = repeat(lease_ms), repeat(now + lease_ms / 1000)
        messages = list(map(self._make, *delivered, *lease))
        self._hold(delivered, messages)
        if self._calling.awaited:
            messages = [m for m in messages if not self._calling.replied(m)]
        purpose = self._purpose
        if purpose is PREFETCH:
            self.buffer.extend(messages)
        elif isinstance(purpose, Fetch):
            purpose.messages.extend(messages)
            if purpose.remaining is not None:
                self._end(purpose)
        else:
            self._give_back(messages)
        self.arrived.ring()

    def _hold(self, delivered: Deliver, messages: list[BaseMessage]) -> None:
        held = len(self.leases)
        self.leases.update(zip(delivered.seqs, messages, strict=True))
        self.bytes += sum(map(len, delivered.bodies))
        if len(self.leases) != held + len(messages):
            # Some are there again, in the place of those that were held until now.
            self.bytes = sum([len(m.raw_body) for m in self.leases.values()])

    def answered(self, ref: int, value: object, now: float) -> bool:
        """The broker has answered a CREDIT. False if it was none of ours."""
        if ref != self._asked:
            return False
        self._asked = None
        waiting = value[0] if isinstance(value, list) and value else 0
        fetch = self._purpose
        if self._granted[0] == 0 and self._ending is not None:
            ending, self._ending = self._ending, None
            ending.resolve((ending.messages, waiting))
        elif isinstance(fetch, Fetch):
            fetch.remaining = waiting
            if waiting and not fetch.messages and not fetch.single:
                # Something waits that does not fit with what is held: begin again
                # for one message, of whatever size.
                fetch.begin()
                fetch.single = True
                self._purpose = CLOSED
            elif fetch.messages or now >= fetch.deadline:
                self._end(fetch, waiting)
        return True

    def _end(self, fetch: Fetch, remaining: int | None = None) -> None:
        """It has what it gets; without `remaining` the answer to CREDIT 0 tells it."""
        if not fetch.messages and remaining is None:
            return
        self._purpose = CLOSED
        self._fetches.remove(fetch)
        surplus = fetch.messages[fetch.most :]
        del fetch.messages[fetch.most :]
        self._give_back(surplus)
        if remaining is None:
            self._ending = fetch
        else:
            fetch.resolve((fetch.messages, remaining + len(surplus)))

    # --- the next CREDIT ---------------------------------------------------

    def credit(self, ref: int) -> Credit | None:
        """What to say of credit now, if anything; a window that closes is emptied."""
        if self._asked is not None:
            return None
        purpose, grant = self._wish()
        if self._granted[0] and purpose is not self._purpose:
            purpose, grant = CLOSED, (0, 0, self._granted[2])
        if grant[:2] == self._granted[:2] and (
            grant[2] == self._granted[2] or not grant[0]
        ):
            return None
        if not grant[0]:
            self._held = (0, 0)
            self._empty()
        self._purpose, self._granted, self._asked = purpose, grant, ref
        return Credit(ref, *grant)

    def _wish(self) -> tuple[Purpose, Grant]:
        if isinstance(self._purpose, Fetch):
            return self._purpose, self._granted
        if self._ending is not None or self._stopped:
            return CLOSED, (0, 0, self._granted[2])
        if self._fetches:
            fetch = self._fetches[0]
            most = 1 if fetch.single else fetch.most
            size = limits.MAX_CREDIT_BYTES
            if not fetch.single:
                size = self.bytes + len(self.leases) * HEAD_BYTES + fetch.most_bytes
            return fetch, _grant(len(self.leases) + most, size, fetch.lease_ms)
        if self.reading:
            held, held_bytes = self._held
            return PREFETCH, _grant(
                self._prefetch + held, WINDOW_BYTES + held_bytes, self._lease_ms
            )
        return CLOSED, (0, 0, self._granted[2])

    def _empty(self) -> None:
        """Give back what is unread. From its end: another thread may read meanwhile,
        and must not be shown what stands behind something that was just given back."""
        unread: deque[BaseMessage] = deque()
        while self.buffer:
            try:
                unread.appendleft(self.buffer.pop())
            except IndexError:  # a reader was quicker
                break
        self._give_back(unread)

    def _give_back(self, messages: Iterable[BaseMessage]) -> None:
        for message in messages:
            self._settling.release(message)

    def is_fetching(self) -> bool:
        return bool(self._fetches)

    def is_asking(self) -> bool:
        """Whether a CREDIT is unanswered."""
        return self._asked is not None

    # --- time, and the end of connections ----------------------------------

    def tick(self, now: float) -> None:
        fetch = self._purpose
        if isinstance(fetch, Fetch) and fetch.remaining is not None:
            if now >= fetch.deadline:
                self._end(fetch, fetch.remaining)
        elif fetch is PREFETCH and self._half_gone() <= now:
            self.reading = False
        if now - self._swept > SWEEP_S:
            self._swept = now
            self.let_go([m for m in self.leases.values() if m.until <= now])

    def wake_at(self) -> float:
        """When `tick` has something to do before the next ping."""
        fetch = self._purpose
        if isinstance(fetch, Fetch):
            # Before its answer, time ends nothing: to wake for it would be to spin.
            return float("inf") if fetch.remaining is None else fetch.deadline
        return self._half_gone() if fetch is PREFETCH else float("inf")

    def _half_gone(self) -> float:
        try:
            oldest = self.buffer[0]
        except IndexError:
            return float("inf")
        return oldest.until - oldest.lease_ms / 2000

    def let_go(self, messages: Iterable[BaseMessage]) -> None:
        """This client does not hold them any more."""
        leases = self.leases
        for message in messages:
            if leases.get(message.seq) is message:
                del leases[message.seq]
                self.bytes -= len(message.raw_body)

    def lost(self) -> None:
        """The connection is gone. What was not seen comes again, on the next one."""
        self._empty()
        if isinstance(self._purpose, Fetch):
            self._give_back(self._purpose.messages)
            self._purpose.begin()
        if self._ending is not None:
            ending, self._ending = self._ending, None
            ending.resolve((ending.messages, 0))
        self._purpose, self._asked = CLOSED, None
        self._granted = (0, 0, self._granted[2])

    def hold_on(self, now: float) -> None:
        """On a new connection: say that the application still has what it took. What
        it asked for meanwhile counts more, and comes behind."""
        for message in self.leases.values():
            if message.until > now and not message.settled:
                self._settling.waiting.appendleft(
                    Settlement(Action.EXTEND, message, message.lease_ms)
                )

    def unanswered(self) -> list[BaseMessage]:
        """What the application took and did not settle."""
        return [message for message in self.leases.values() if not message.settled]

    def fail(self, error: IpcbusError) -> None:
        self.lost()
        fetches, self._fetches = self._fetches, deque()
        for fetch in fetches:
            fetch.fail(error)
        self.arrived.ring()

    def check_invariants(self) -> None:
        assert self.bytes == sum(len(m.raw_body) for m in self.leases.values())
        assert (self._granted[0] > 0) or self._purpose is CLOSED
        assert not self.buffer or self._purpose is PREFETCH or self._asked is None


def _grant(messages: int, size: int, lease_ms: int) -> Grant:
    return (
        min(messages, limits.MAX_CREDIT),
        min(size, limits.MAX_CREDIT_BYTES),
        lease_ms,
    )
