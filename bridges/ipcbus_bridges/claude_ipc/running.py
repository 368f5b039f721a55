"""The process of the door: its parts, its signals, and its first and last words."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import ipcbus
from ipcbus_bridges.claude_ipc import files
from ipcbus_bridges.claude_ipc.desk import Desk, Say
from ipcbus_bridges.claude_ipc.limits import DEFAULTS, Limits
from ipcbus_bridges.claude_ipc.people import People
from ipcbus_bridges.claude_ipc.server import HOST, Server, listen, room
from ipcbus_bridges.claude_ipc.state import State
from ipcbus_bridges.wording import told

PORT: Final = 9876
RATE: Final = 100
"""Requests a minute of one instance, as the old server had it."""

SECRET: Final = "IPC_SHARED_SECRET"  # noqa: S105 - the name of a variable

LOOK_AFTER_S: Final = 30.0
"""Between two times that is written down who asked when, and old files are removed."""

FIRST_S: Final = 15.0
"""For the network to answer for the first time: a broker may have to start."""


def run(
    network: str,
    folder: Path,
    *,
    port: int = PORT,
    rate: int = RATE,
    limits: Limits = DEFAULTS,
    start: bool = True,
    say: Say = print,
    ready: Callable[[int], None] = lambda port: None,
) -> int:
    """Serve old programs until SIGTERM or SIGINT. Call it from the main thread.

    Args:
        network: whose agents they are; `folder` is its folder.
        port: where they connect; 0 for a free one.
        rate: requests a minute of one instance; 0 for as many as it likes.
        limits: its other bounds.
        start: a broker that is needed and not there is started.
        say: told a line for people.
        ready: told the port, once it can be connected to.

    Raises `PortInUse`, `NoBroker`, and what else keeps it from being an owner's.
    """
    return asyncio.run(_run(network, folder, port, rate, limits, start, say, ready))


async def _run(
    network: str,
    folder: Path,
    port: int,
    rate: int,
    limits: Limits,
    start: bool,
    say: Say,
    ready: Callable[[int], None],
) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    here = room(limits.connections)
    listener = listen(port)
    state: State | None = None
    people = People(network, start=start, most=here.clients)
    try:
        operator = await ipcbus.connect_async(
            network, agent="", start=start, timeout=FIRST_S
        )
        await operator.close()
        state = State(folder)
        secret = os.environ.get(SECRET, "")
        desk = Desk(
            network, people, state, secret=secret, rate=rate, limits=limits, say=say
        )
        fitting = limits._replace(connections=here.connections)
        server = Server(listener, desk.answer, fitting)
        at: int = listener.getsockname()[1]
        ready(at)
        for line in _first_words(network, at, secret, rate):
            say(line)
        keeping = [
            asyncio.ensure_future(people.look_after()),
            asyncio.ensure_future(_look_after(desk, state, limits.file_time, say)),
        ]
        await stopped.wait()
        for task in keeping:
            task.cancel()
        await server.close()
        desk.save_seen()
    finally:
        listener.close()
        await people.close()
        if state is not None:
            state.close()
    say(f"claude-ipc -> {network}: ended")
    return 0


def _first_words(network: str, port: int, secret: str, rate: int) -> list[str]:
    limit = f"{rate} requests a minute each" if rate else "no limit of requests"
    lines = [f"old programs of claude-ipc are agents of {network}; {limit}"]
    if not secret:
        lines.append(
            f"warning: {SECRET} is not set: any program of this machine, also another "
            "user's, can take the name of an old instance and read its mail"
        )
    return [*lines, f"claude-ipc ({HOST}:{port}) -> {network}: running"]


async def _look_after(desk: Desk, state: State, kept_s: float, say: Say) -> None:
    """For ever, whatever goes wrong: else files would pile up, and nobody knew."""
    while True:
        try:
            with suppress(ipcbus.IpcbusError):
                await asyncio.to_thread(desk.save_seen)
            await asyncio.to_thread(files.sweep, state.folder, kept_s)
        except Exception as error:  # noqa: BLE001 - it is said, and tried again
            say(f"looking after files and sessions failed: {told(repr(error))}")
        await asyncio.sleep(LOOK_AFTER_S)
