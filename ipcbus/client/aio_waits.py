"""How a task waits for what the socket's thread does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ipcbus.client.engine import Engine
from ipcbus.client.message import Outgoing, Receipt
from ipcbus.client.pending import Bell, Pending

T = TypeVar("T")

FOREVER_S = 1e9


class _Sleeper:
    """A future of this loop that any thread may resolve, any number of times."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def wake(self, _: object = None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._resolve)
        except RuntimeError:
            return  # the loop is closed, and who slept has gone with it

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


async def until_done(pending: Pending[Any]) -> None:
    sleeper = _Sleeper()
    pending.add_done_callback(sleeper.wake)
    await sleeper.future


async def sleep(bell: Bell, changed: Callable[[], bool], timeout: float) -> None:
    """As `Bell.sleep`."""
    sleeper = _Sleeper()
    bell.enlist(sleeper.wake)
    try:
        if not changed():
            await asyncio.wait([sleeper.future], timeout=min(timeout, FOREVER_S))
    finally:
        bell.delist(sleeper.wake)


async def result(
    engine: Engine, pending: Pending[T], left: float | None, timeout: float | None
) -> T:
    """As `Engine.result`."""
    if not pending.done():
        try:
            await asyncio.wait_for(until_done(pending), left)
        except TimeoutError:
            if not pending.done():
                raise engine.late(pending.what, timeout, **pending.facts()) from None
    return pending.result(0)


async def room(engine: Engine, timeout: float | None) -> None:
    """As `Engine.wait_for_room`."""
    end = time.monotonic() + (FOREVER_S if timeout is None else timeout)
    while not engine.has_room():
        left = end - time.monotonic()
        if left <= 0:
            raise engine.late("room for another message", timeout)
        await sleep(engine.tracker.outbox.room, engine.has_room, left)


async def send(engine: Engine, outgoing: Outgoing, timeout: float | None) -> Receipt:
    """As `Engine.send`."""
    end = time.monotonic() + (FOREVER_S if timeout is None else timeout)
    await room(engine, timeout)
    sending = engine.submit(outgoing)
    return await result(engine, sending, end - time.monotonic(), timeout)
