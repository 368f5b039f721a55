"""The clients that speak for old instances: one for each, kept while it is used."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import ipcbus
from ipcbus_bridges.claude_ipc.names import fold

IDLE_S: Final = 120.0
LOOK_S: Final = 10.0

BUS_S: Final = 3.5
"""Seconds for the network to answer; all of an answer may take no more: see `desk`."""

PROGRAM: Final = "claude-ipc"


class Seat:
    """The place of one agent; its requests are carried out one after another."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.lock = asyncio.Lock()
        self.client: ipcbus.AsyncClient | None = None
        self.users = 0
        self.used_at = 0.0
        self._fates: set[asyncio.Future[bool]] = set()

    @property
    def is_free(self) -> bool:
        return not self.users and not self._fates

    def new_fate(self) -> asyncio.Future[bool]:
        """Of an answer with messages that this agent's client has leased: to be told
        whether it was taken."""
        fate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._fates.add(fate)
        fate.add_done_callback(self._fates.discard)
        return fate

    async def wait_for_fates(self, seconds: float) -> None:
        """Until it is known of all, or the time is over."""
        if self._fates:
            await asyncio.wait(self._fates, timeout=seconds)


class People:
    """Args:
    most: clients at once, about; each has a thread and some descriptors. Those that
        were not used for longest are closed first.
    """

    def __init__(self, network: str, *, start: bool, most: int) -> None:
        self._network = network
        self._most = most
        self._start = start
        self._seats: OrderedDict[str, Seat] = OrderedDict()
        self._leaving: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def seat(self, agent: str) -> AsyncIterator[Seat]:
        """The place of `agent`, for one request. "" is the operator."""
        key = fold(agent)
        seat = self._seats.get(key)
        if seat is None:
            seat = self._seats[key] = Seat(agent)
        self._seats.move_to_end(key)
        seat.users += 1
        try:
            async with seat.lock:
                yield seat
        finally:
            seat.users -= 1
            seat.used_at = time.monotonic()
            self._make_room()

    async def client(self, seat: Seat) -> ipcbus.AsyncClient:
        """For who holds the seat. An agent's name that is new is registered."""
        if seat.client is None or seat.client.closed:
            while len(self._leaving) > self._most // 2:  # they still hold descriptors
                await asyncio.wait(self._leaving, return_when=asyncio.FIRST_COMPLETED)
            seat.client = await ipcbus.connect_async(
                self._network,
                agent=seat.agent,
                start=self._start,
                timeout=BUS_S,
                program=PROGRAM,
            )
        return seat.client

    async def leave(self, seat: Seat) -> None:
        """Close its client: it has another name now, say."""
        client, seat.client = seat.client, None
        if client is not None:
            await client.close()

    async def look_after(self) -> None:
        """Close what is not used, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.close_idle(time.monotonic() - IDLE_S)

    def close_idle(self, before: float) -> None:
        idle = [
            seat
            for seat in self._seats.values()
            if seat.is_free and seat.used_at <= before
        ]
        for seat in idle:
            self._drop(seat)

    async def close(self) -> None:
        seats = list(self._seats.values())
        self._seats.clear()
        leaving = [*map(self.leave, seats), *self._leaving]
        await asyncio.gather(*leaving, return_exceptions=True)

    def _make_room(self) -> None:
        while len(self._seats) > self._most:
            oldest = next((s for s in self._seats.values() if s.is_free), None)
            if oldest is None:
                return
            self._drop(oldest)

    def _drop(self, seat: Seat) -> None:
        del self._seats[fold(seat.agent)]
        if seat.client is not None:
            task = asyncio.ensure_future(self.leave(seat))
            self._leaving.add(task)
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Future[None]) -> None:
        self._leaving.discard(task)
        with suppress(asyncio.CancelledError, ipcbus.IpcbusError):
            task.result()
