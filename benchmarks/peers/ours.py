"""ipcbus, by `submit`, `send_many`, `AsyncClient`, and `send` one at a time.

Confirmed means: in SQLite's log and synced. All settings are as shipped (history and
search on); without encryption only where the name says so, as nobody else here
encrypts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from contextlib import ExitStack
from typing import Any, Final

import ipcbus
from benchmarks.bus import ANSWER_S
from benchmarks.peers.base import (
    HANDS,
    LAST_BODY,
    Contender,
    Job,
    Round,
    Tally,
    child,
    in_batches,
    stamped_body,
)
from ipcbus import networks
from ipcbus.client.pending import Pending
from ipcbus.transport import launch

IN_MEMORY: Final = {"store": "memory"}
"""What is given to `networks.Saved` for a volatile network."""


class Ours(Contender):
    module = "benchmarks.peers.ours"
    plain = False
    lazy_s = 0.4
    saved: dict[str, Any] = {}

    def start(self) -> dict[str, Any]:
        os.environ["IPCBUS_HOME"] = str(self.home)
        network = networks.create("bench")
        network.save(networks.Saved(plain=self.plain, **self.saved))
        self.pids = [launch.start(network).pid]
        self._stack.callback(launch.stop, network, force=True)
        return {}


class OursPlain(Ours):
    plain = True


class OursVolatile(Ours):
    saved = IN_MEMORY

    @classmethod
    def missing(cls) -> str:
        known = IN_MEMORY.keys() <= set(networks.Saved._fields)
        return "" if known else "not available: this version has no volatile networks"


class OursVolatilePlain(OursVolatile):
    plain = True


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    job: Job = given["job"]
    if job.how == "async":
        return _asynchronous(given, number, stack)
    mine = "r" if given["role"] == "receive" else "s"
    client = ipcbus.connect("bench", agent=f"{mine}{number}", prefetch=1024)
    stack.callback(client.close)
    if given["role"] == "receive":
        return lambda seconds: _receive(client)
    to = f"r{number}"
    if job.window == 1:
        return lambda seconds: _one_by_one(client, to, seconds)
    if job.how == "many":
        return lambda seconds: _many(client, to, job, seconds)
    return lambda seconds: _pipe(client, to, job.window, seconds)


def _receive(client: ipcbus.Client) -> dict[str, Any]:
    tally = Tally()
    for message in client:
        message.ack()
        if not tally.received(message.raw_body):
            break
    client.flush(ANSWER_S)
    return tally.told()


def _one_by_one(client: ipcbus.Client, to: str, seconds: float) -> dict[str, Any]:
    tally = Tally()
    while time.monotonic() < tally.began + seconds:
        at, body = stamped_body()
        client.send(to, body)
        tally.sent(at)
        tally.count += 1
    client.send(to, LAST_BODY)
    return tally.told()


def _pipe(
    client: ipcbus.Client, to: str, window: int, seconds: float
) -> dict[str, Any]:
    tally, flying = Tally(), deque[Pending[Any]]()
    end = tally.began + seconds
    while time.monotonic() < end:
        if len(flying) >= window:
            flying.popleft().result(ANSWER_S)
        at, body = tally.next_body()
        pending = client.submit(to, body)
        if at:
            pending.add_done_callback(tally.on_sent(at))
        flying.append(pending)
    while flying:
        flying.popleft().result(ANSWER_S)
    client.send(to, LAST_BODY)
    return tally.told()


def _many(client: ipcbus.Client, to: str, job: Job, seconds: float) -> dict[str, Any]:
    def give(hand: int, bodies: list[bytes]) -> None:
        for receipt in client.send_many([(to, body) for body in bodies]):
            if isinstance(receipt, Exception):
                raise receipt

    hands = HANDS if job.pairs == 1 else 1
    size = job.window // hands
    tally = in_batches(give, hands=hands, size=size, seconds=seconds)
    client.send(to, LAST_BODY)
    return tally.told()


# --- tasks --------------------------------------------------------------------------


def _asynchronous(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    mine = "r" if given["role"] == "receive" else "s"
    connecting = ipcbus.connect_async("bench", agent=f"{mine}{number}", prefetch=1024)
    client = loop.run_until_complete(connecting)
    stack.callback(lambda: loop.run_until_complete(client.close()))
    to, window = f"r{number}", given["job"].window
    if given["role"] == "receive":
        return lambda seconds: loop.run_until_complete(_receive_async(client))
    return lambda seconds: loop.run_until_complete(
        _pipe_async(client, to, window, seconds)
    )


async def _receive_async(client: ipcbus.AsyncClient) -> dict[str, Any]:
    tally = Tally()
    async for message in client:
        message.ack()
        if not tally.received(message.raw_body):
            break
    await client.flush(ANSWER_S)
    return tally.told()


async def _pipe_async(
    client: ipcbus.AsyncClient, to: str, window: int, seconds: float
) -> dict[str, Any]:
    tally, flying = Tally(), deque[Pending[Any]]()
    end = tally.began + seconds
    while time.monotonic() < end:
        if len(flying) >= window:
            await flying.popleft()
        at, body = tally.next_body()
        pending = await client.submit(to, body)
        if at:
            pending.add_done_callback(tally.on_sent(at))
        flying.append(pending)
    while flying:
        await flying.popleft()
    await client.send(to, LAST_BODY)
    return tally.told()


if __name__ == "__main__":
    child(make)
