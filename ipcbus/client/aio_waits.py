"""How a task waits for what the socket's thread does.

To wake a loop from another thread takes a lock and a byte through a pipe, and a timer
takes a place in a heap: each is more than all else that a message costs here. So the
tasks of a loop that have something to wait for share both.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ipcbus.client.engine import Engine
from ipcbus.client.message import Outgoing, Receipt
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Bell, Pending
from ipcbus.client.sayable import end_of
from ipcbus.errors import IpcbusError

T = TypeVar("T")

FOREVER = float("inf")

Bed = asyncio.Future[None]


class Sleepers:
    """The tasks of one loop that wait. `wake` is for any thread, all else for the
    loop's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ends: dict[Bed, float] = {}
        self._woken: deque[Bed] = deque()
        self._is_called = False
        """Whether the loop has been told to look at `_woken`, and has not yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_end = FOREVER

    def lie_down(self, end: float) -> Bed:
        """To be awaited: done when it is woken, or at `end` of the monotonic clock."""
        bed = self.loop.create_future()
        self._ends[bed] = end
        if end < self._timer_end:
            self._set_timer(end)
        return bed

    def get_up(self, bed: Bed) -> None:
        """Nobody will wake it, or has to."""
        self._ends.pop(bed, None)
        if not bed.done():
            bed.set_result(None)

    def wake(self, bed: Bed, _: object = None) -> None:
        # In this order: what is put there before the loop begins to look is found, and
        # for what comes later it is called again.
        self._woken.append(bed)
        if self._is_called:
            return
        self._is_called = True
        try:
            self.loop.call_soon_threadsafe(self._wake_all)
        except RuntimeError:
            return  # the loop is closed, and who slept has gone with it

    def _wake_all(self) -> None:
        self._is_called = False
        woken = self._woken
        while woken:
            self.get_up(woken.popleft())

    def _set_timer(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_end = None, end
        if end < FOREVER:
            left = end - time.monotonic()
            self._timer = self.loop.call_later(left, self._wake_late)

    def _wake_late(self) -> None:
        now = time.monotonic()
        for bed in [bed for bed, end in self._ends.items() if end <= now]:
            self.get_up(bed)
        self._set_timer(min(self._ends.values(), default=FOREVER))


_of_this_thread = threading.local()
"""`sleepers`: those of the loop that ran last in the thread."""


def _sleepers() -> Sleepers:
    loop = asyncio.get_running_loop()
    found: Sleepers | None = getattr(_of_this_thread, "sleepers", None)
    if found is None or found.loop is not loop:
        found = _of_this_thread.sleepers = Sleepers(loop)
    return found


def until_done(pending: Pending[Any], end: float = FOREVER) -> Bed:
    """To be awaited: done when `pending` is, or at `end`."""
    sleepers = _sleepers()
    bed = sleepers.lie_down(end)
    pending.add_done_callback(partial(sleepers.wake, bed))
    return bed


async def sleep(bell: Bell, changed: Callable[[], bool], end: float) -> None:
    """As `Bell.sleep`."""
    sleepers = _sleepers()
    bed = sleepers.lie_down(end)
    wake = partial(sleepers.wake, bed)
    bell.enlist(wake)
    try:
        if not changed():
            await bed
    finally:
        bell.delist(wake)
        sleepers.get_up(bed)


async def result(
    engine: Engine, pending: Pending[T], end: float, timeout: float | None
) -> T:
    """As `Engine.result`."""
    if not pending.done():
        await until_done(pending, end)
        if not pending.done():
            raise engine.late(pending.what, timeout, **pending.facts())
    return pending.result(0)


async def outcome(
    engine: Engine, made: Sending | IpcbusError, end: float, timeout: float | None
) -> Receipt | IpcbusError:
    """As `Engine.outcome`."""
    if isinstance(made, Sending) and not made.done():
        await until_done(made, end)
    return engine.outcome(made, 0.0, timeout)


async def room(engine: Engine, end: float, timeout: float | None) -> None:
    """As `Engine.wait_for_room`."""
    while not engine.has_room():
        if time.monotonic() >= end:
            raise engine.late("room for another message", timeout)
        await sleep(engine.tracker.outbox.room, engine.has_room, end)


async def send(engine: Engine, outgoing: Outgoing, timeout: float | None) -> Receipt:
    """As `Engine.send`."""
    end = end_of(timeout)
    await room(engine, end, timeout)
    return await result(engine, engine.submit(outgoing), end, timeout)
