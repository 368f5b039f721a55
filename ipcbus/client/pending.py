"""Waiting: for one result (`Pending`), and for a change (`Bell`).

`concurrent.futures` would do, at ten times the price: a lock, a condition and an
import for each message. Here a result that is there when it is asked for costs two
attribute look-ups, and a lock is made only by one who really has to wait. All waits
can be interrupted by Ctrl-C.

Both ends rely on the order in which one thread stores and another loads plain
attributes, and on `deque.append` and `deque.popleft` being atomic.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, Self, TypeVar

from ipcbus.errors import IpcbusError, TimedOut

T = TypeVar("T")

LONGEST_S = 1.0
"""Waits are cut and begun again: a signal that comes in the microseconds between the
last look for one and the sleep wakes nobody, and would be found at its end only."""

_registering = allocate_lock()


class Pending(Generic[T]):
    """A result that will come. Made by the client, resolved by its socket thread.

    `result(timeout)` waits in a thread, `await pending` in a task.
    """

    __slots__ = ("_callbacks", "_done", "_error", "_value")

    what = "the answer"

    def __init__(self) -> None:
        self._done = False
        self._callbacks: list[Callable[[Any], object]] | None = None
        self._error: IpcbusError | None = None

    # --- the side that waits -----------------------------------------------

    def done(self) -> bool:
        return self._done

    def result(self, timeout: float | None = None) -> T:
        """The value, or its error raised; `TimedOut` after `timeout` seconds."""
        if not self._done and not self.wait(timeout):
            raise TimedOut(what=self.what, seconds=timeout, **self.facts())
        if self._error is not None:
            # The same error may be raised in several threads, and many times.
            raise self._error.with_traceback(None)
        return self.value()

    def error(self) -> IpcbusError | None:
        """Why there is no value, once it is done."""
        return self._error

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is done, after at most `timeout` seconds (None: for ever)."""
        if self._done:
            return True
        lock = allocate_lock()
        lock.acquire()
        self.add_done_callback(lambda _: lock.release())
        while not self._done:
            step = LONGEST_S if timeout is None else min(timeout, LONGEST_S)
            if lock.acquire(timeout=max(0.0, step)):
                break
            if timeout is not None:
                timeout -= step
                if timeout <= 0:
                    break
        return self._done

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call `callback(self)` when it is done, from whichever thread does it."""
        with _registering:
            if self._callbacks is None:
                self._callbacks = []
            self._callbacks.append(callback)
        if self._done:
            self._call_back()

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            # Only a task comes here, so asyncio is there already: this is no cost.
            from ipcbus.client.aio_waits import until_done

            yield from until_done(self).__await__()
        return self.result(0)

    def value(self) -> T:
        return self._value

    def facts(self) -> dict[str, Any]:
        """What a `TimedOut` says beside what was waited for."""
        return {}

    # --- the side that knows -----------------------------------------------

    def resolve(self, value: T) -> None:
        self._value: T = value
        self.finish()

    def fail(self, error: IpcbusError) -> None:
        self._error = error
        self.finish()

    def finish(self) -> None:
        """Value or error are set."""
        self._done = True
        if self._callbacks is not None:
            self._call_back()

    def _call_back(self) -> None:
        with _registering:
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback(self)
            # The caller's code on our thread, which others wait for: `sys.exit()` would
            # end that, and not the program.
            except (Exception, SystemExit):  # noqa: BLE001
                sys.excepthook(*sys.exc_info())


def finish_all(pendings: Iterable[Pending[Any]]) -> None:
    """`finish` of each: a batch costs no call for those that nobody waits for."""
    for pending in pendings:
        pending._done = True
        if pending._callbacks is not None:
            pending._call_back()


class Bell:
    """Wakes those who wait for a state that another thread changes.

    The waiting side tests the state again after it has put itself on the list, and
    the changing side rings after the change: so no change is missed.
    """

    __slots__ = ("_sleepers",)

    def __init__(self) -> None:
        self._sleepers: deque[Callable[[], object]] = deque()

    def ring(self) -> None:
        sleepers = self._sleepers
        while sleepers:
            try:
                wake = sleepers.popleft()
            except IndexError:  # the sleeper has taken itself off
                return
            try:
                wake()
            except RuntimeError:
                # The loop of a task is closed, or a lock is released already: who
                # slept there has gone.
                continue

    def enlist(self, wake: Callable[[], object]) -> None:
        """Have `wake` called at the next ring, once."""
        self._sleepers.append(wake)

    def delist(self, wake: Callable[[], object]) -> None:
        try:
            self._sleepers.remove(wake)
        except ValueError:
            return

    def sleep(self, changed: Callable[[], bool], timeout: float) -> None:
        """Return at the next ring, or after `timeout`, or at once if `changed()`."""
        lock = allocate_lock()
        lock.acquire()
        self.enlist(lock.release)
        try:
            if not changed():
                lock.acquire(timeout=min(max(0.0, timeout), LONGEST_S))
        finally:
            self.delist(lock.release)
