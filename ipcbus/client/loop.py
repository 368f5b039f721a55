"""The thread that owns a client's socket.

Everything said and heard passes through one daemon thread: it polls the socket, its
monitor and a wake-up pipe, feeds the pure `Tracker`, and makes a new connection when
one is over.

When nobody serves, this thread may start a broker and wait for it: it has no socket
then that could be neglected. Tries are apart by exponential backoff with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), small at
first: a takeover takes a fraction of a second.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import zmq

from ipcbus.client.conversation import Conversation
from ipcbus.client.message import our_clock_ms
from ipcbus.client.pending import Pending
from ipcbus.client.route import Route
from ipcbus.errors import (
    CannotServe,
    Disconnected,
    IpcbusError,
    NoBroker,
    NotPermitted,
    ProtocolError,
    Refused,
    UsageError,
)
from ipcbus.transport.dealer import Dealer
from ipcbus.transport.keys import KeyPair

FIRST_DELAY_S = 0.02
LONGEST_DELAY_S = 2.0
"""Bounds of the time between two tries to connect."""

GREETING_S = 5.0
"""For the handshake and WELCOME. A busy broker answers within a turn."""

REFUSALS = 3
"""Refused handshakes in a row after which a client that was connected gives up. One
may be of a broker that has just taken over and does not know its keys yet."""

HEARD_AT_ONCE = 64
"""Messages read before the thread looks elsewhere."""

BYE_LINGER_MS = 500

FINAL = (Refused, ProtocolError, UsageError)
"""What a broker may say after which asking again is of no use."""


T = TypeVar("T", bound=Conversation)


class Loop(Generic[T]):
    """What runs in the thread; `Engine` is what other threads see of it.

    Args:
        patient: tries for ever, also when nobody has ever answered.

    Attributes:
        ready: done at the first WELCOME, or when there will be none.
        ended: done when the thread has nothing left to do.
        failed: why it has ended; None while it runs.
        problem: why it is not connected now.
        clock_ms: the broker's clock minus ours.
    """

    greeting_s = GREETING_S
    longest_delay_s = LONGEST_DELAY_S

    def __init__(
        self, route: Route, keys: KeyPair, tracker: T, *, patient: bool = False
    ) -> None:
        self.network = route.network.name
        self.tracker = tracker
        self.ready: Pending[None] = Pending()
        self.ended: Pending[None] = Pending()
        self.failed: IpcbusError | None = None
        self.problem: IpcbusError | None = None
        self.clock_ms = 0.0
        self._patient = patient
        self._route = route
        self._keys = keys
        self._commands: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._asleep = False
        self._telling = threading.RLock()  # a callback may ask for something
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._failures = 0
        self._refusals = 0
        self._close_by: float | None = None

    def __del__(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        """Called by other threads, after they have put something into a deque."""
        if self.failed is not None:
            self._tell_all(self.failed)
        if self._asleep:
            self._asleep = False
            try:
                os.write(self._wake_write, b"\0")
            except BlockingIOError:
                return  # full of wake-ups already

    def _run(self) -> None:
        error: IpcbusError = Disconnected(
            network=self.network, reason="the client was closed"
        )
        try:
            while self._goes_on():
                self._connection()
        except IpcbusError as problem:
            error = problem
        except BaseException as problem:
            error = IpcbusError(reason=f"the client broke: {problem!r}")
            error.__cause__ = problem
            raise
        finally:
            self._fail(error)

    def _fail(self, error: IpcbusError) -> None:
        self.failed = error
        self._tell_all(error)
        if not self.ready.done():
            self.ready.fail(error)
        self.ended.resolve(None)

    def _tell_all(self, error: IpcbusError) -> None:
        """Whoever waits is told of the end. Called by other threads too, for what they
        have put into a deque that is not looked at any more."""
        with self._telling:
            self._obey()
            self.tracker.fail(error)

    def _connection(self) -> None:
        """One connection, from finding the broker to its end; then a pause.

        Raises when there shall be no other.
        """
        try:
            needed = not self.ready.done() or self.tracker.has_work()
            target = self._route.find(self._failures, needed=needed)
            dealer = Dealer(target, self._keys, self._wake_read)
        except (NoBroker, CannotServe) as problem:
            if not (self.ready.done() or self._patient):
                raise
            self._pause(problem)
            return
        linger = 0
        try:
            self._serve(dealer)
            linger = BYE_LINGER_MS
        except IpcbusError as problem:
            self._judge(problem, dealer)
            self.problem = problem
        finally:
            dealer.close(linger)
        if self.problem is not None:
            self._lost(self.problem)
            self._pause(self.problem)

    def _lost(self, problem: IpcbusError) -> None:
        self.tracker.lost()

    def _goes_on(self) -> bool:
        """Not closed; or closed, with something left to say and time to say it."""
        if self._close_by is None:
            return True
        if self.tracker.left or not self.ready.done():
            return False
        return self.tracker.is_busy() and time.monotonic() < self._close_by

    def _judge(self, problem: IpcbusError, dealer: Dealer) -> None:
        """Raise `problem` if no other connection would do better."""
        refused = isinstance(problem, NotPermitted) and not dealer.ready
        self._refusals = self._refusals + 1 if refused else 0
        known = self.ready.done() or self._patient
        if refused and known and self._refusals < REFUSALS:
            return
        if isinstance(problem, FINAL):
            raise problem

    def _pause(self, problem: IpcbusError) -> None:
        self.problem = problem
        most = min(self.longest_delay_s, FIRST_DELAY_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        end = time.monotonic() + random.uniform(0, most)  # noqa: S311 - not a secret
        poller = zmq.Poller()
        poller.register(self._wake_read, zmq.POLLIN)
        idle = not self.tracker.has_work()
        while self._goes_on() and (left := end - time.monotonic()) > 0:
            self._asleep = True
            if not self._commands:
                poller.poll(int(left * 1000) + 1)
            self._awake()
            self._obey()
            if idle and self.tracker.has_work():
                self._failures = 0
                return

    def _serve(self, dealer: Dealer) -> None:
        """Until BYE is said, or the connection is over: then it raises."""
        tracker = self.tracker
        opened = False
        greet_by = time.monotonic() + self.greeting_s
        while True:
            now = time.monotonic()
            more = self._hear(dealer, now)
            dealer.watch()
            if dealer.ready and not opened:
                opened = True
                tracker.opened(now)
            # Looked at before the commands: an await that came before its send is
            # then sure to be said before it.
            waiting = tracker.sends_waiting()
            self._obey()
            tracker.tick(now)
            for frames in tracker.say(waiting):
                dealer.send(frames)
            if self._close_by is not None and (tracker.left or now >= self._close_by):
                return
            if not tracker.greeted and now > greet_by:
                raise NoBroker(network=self.network, reason="it does not answer")
            if more:
                continue
            self._asleep = True
            if not (self._commands or tracker.can_say()):
                until = tracker.wake_at()
                if not tracker.greeted:
                    until = min(until, greet_by)
                if self._close_by is not None:
                    until = min(until, self._close_by)
                dealer.wait(until - now)
            self._awake()

    def _hear(self, dealer: Dealer, now: float) -> bool:
        """Take in what has come. Whether there may be more."""
        tracker = self.tracker
        for _ in range(HEARD_AT_ONCE):
            frames = dealer.receive()
            if frames is None:
                return False
            greeted = tracker.greeted
            tracker.heard(*frames, now)
            if tracker.greeted and not greeted:
                self._greeted()
        return True

    def _greeted(self) -> None:
        welcome = self.tracker.welcome
        assert welcome is not None
        self.clock_ms = welcome.now_ms - our_clock_ms()
        self.network = welcome.network
        self.problem = None
        self._failures = self._refusals = 0
        if not self.ready.done():
            self.ready.resolve(None)

    def _awake(self) -> None:
        self._asleep = False
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    def _obey(self) -> None:
        commands = self._commands
        while commands:
            command, args = commands.popleft()
            command(*args)

    def _begin_close(self, by: float, keep_leases: bool) -> None:
        if self._close_by is None:
            self._close_by = by
            self.tracker.leave(keep_leases=keep_leases)
