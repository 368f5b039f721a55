"""One MCP server, until its client or a signal ends it.

Claude Code ends a server by SIGINT and by SIGTERM a tenth of a second later. So what
matters comes first: what was shown and not confirmed is given back, and then all else
may be torn down. Nothing that hangs (a client that does not read, a broker that does
not answer) keeps the process alive.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from threading import Timer
from typing import Any, Final

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup
from mcp.server.lowlevel import Server

from ipcbus.doors.mcp import stdio
from ipcbus.doors.mcp.desks import Desks
from ipcbus.doors.mcp.server import Service
from ipcbus.doors.tools.desk import HOLD_EVERY_S

LAST_S: Final = 0.5
"""Seconds from a signal to the end, whatever still goes on."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Say = Callable[[str], object]


def over_stdio(desks: Desks) -> int:
    """Serve the client at the other end of stdin and stdout."""
    reading, writing = stdio.take_wire()

    async def wire(server: Server[Any], group: TaskGroup, stop: anyio.Event) -> None:
        async def until_stopped() -> None:
            await stop.wait()
            group.cancel_scope.cancel()

        group.start_soon(until_stopped)
        await stdio.serve(server, reading, writing)

    return _serve(desks, wire)


def over_http(desks: Desks, port: int, token: str, say: Say) -> int:
    """Serve clients on a port of the loopback, 0 for a free one; `say` which."""
    from ipcbus.doors.mcp import http  # stdio needs none of it

    listening = http.listen(port)
    port = listening.getsockname()[1]

    async def wire(server: Server[Any], group: TaskGroup, stop: anyio.Event) -> None:
        serving = http.serving(server, token, desks)

        async def until_stopped() -> None:
            await stop.wait()
            serving.end()

        group.start_soon(until_stopped)
        say(f"MCP is served at http://{http.HOST}:{port}{http.PATH}")
        await http.serve(server, serving, listening)

    return _serve(desks, wire)


Wire = Callable[[Server[Any], TaskGroup, anyio.Event], Awaitable[None]]


def _serve(desks: Desks, wire: Wire) -> int:
    try:
        anyio.run(partial(_main, desks, wire))
    finally:
        desks.close()
    return 0


async def _main(desks: Desks, wire: Wire) -> None:
    service = Service(desks)
    signalled, stop = anyio.Event(), anyio.Event()
    _call_at_signals(signalled.set)
    async with anyio.create_task_group() as group:
        group.start_soon(service.watch.run)
        group.start_soon(_keep, desks)
        group.start_soon(_end, desks, signalled, stop)
        await wire(service.server(), group, stop)
        group.cancel_scope.cancel()


def _call_at_signals(call: Callable[[], None]) -> None:
    """For as long as the process lives: the second signal comes while it ends."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)

    for number in SIGNALS:
        signal.signal(number, handle)


async def _end(desks: Desks, signalled: anyio.Event, stop: anyio.Event) -> None:
    await signalled.wait()
    last = Timer(LAST_S, os._exit, (0,))
    last.daemon = True
    last.start()
    at_once = CapacityLimiter(1)  # behind no call that a broker does not answer
    await to_thread.run_sync(desks.close, limiter=at_once, abandon_on_cancel=True)
    stop.set()


async def _keep(desks: Desks) -> None:
    while True:
        await anyio.sleep(HOLD_EVERY_S)
        await to_thread.run_sync(desks.keep, abandon_on_cancel=True)
