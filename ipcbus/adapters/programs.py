"""Running a program for one answer: bounded in time and size, and ended as a whole.

No shell is in between. The program leads a process group of its own, and when it takes
too long, writes too much, or nobody wants its answer any more, the whole group is
ended. What it leaves running behind it is ended too if that still holds on to its
output; what let go of it is a service that it started, and none of our business.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ipcbus.cores import as_before

MOST_OUTPUT: Final = 1024 * 1024
"""Bytes of an answer; what the bus takes as one body."""

STDERR_TAIL: Final = 16 * 1024
"""Bytes that are kept of what it writes on stderr: the end, where the reason is."""

GRACE_S: Final = 2.0
"""Seconds between being asked to end and being ended."""

LINGER_S: Final = 1.0
"""Seconds for which the output of a program that has ended may stay open."""

OnText = Callable[[str], object]


class TookTooLong(Exception):
    """It was not done in time."""


class WroteTooMuch(Exception):
    """Its answer is over `MOST_OUTPUT`."""


class Done(NamedTuple):
    """How it ended: its exit code, or the negative number of a signal."""

    code: int
    out: str
    err: str


class Work(NamedTuple):
    """What to run.

    Attributes:
        stdin: what it reads; None: its stdin is closed (`/dev/null`).
        timeout_s: seconds until it must have ended.
        on_text: told what it writes, as it writes it.
    """

    command: Sequence[str]
    stdin: str | None
    env: Mapping[str, str]
    folder: Path
    timeout_s: float
    on_text: OnText | None = None


async def run(work: Work) -> Done:
    """Run it to its end. A cancelled run ends it.

    Raises `OSError` if it cannot be started, `TookTooLong` and `WroteTooMuch`.
    """
    loop = asyncio.get_running_loop()
    with as_before():
        transport, watcher = await loop.subprocess_exec(
            lambda: _Watcher(loop, work.on_text),
            *work.command,
            stdin=DEVNULL if work.stdin is None else PIPE,
            env=dict(work.env),
            cwd=work.folder,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(work.timeout_s):
            _feed(transport, work.stdin)
            await watcher.settled
    except TimeoutError as error:
        raise TookTooLong from error
    finally:
        await _end(transport, watcher)
    if len(watcher.out) > MOST_OUTPUT:
        raise WroteTooMuch
    code = transport.get_returncode()
    assert code is not None
    return Done(code, watcher.out.decode(errors="replace"), watcher.tail())


def _feed(transport: asyncio.SubprocessTransport, text: str | None) -> None:
    """A program that does not read to the end is no failure: it knows enough."""
    if text is None:
        return
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(text.encode(errors="replace"))
    pipe.write_eof()


class _Watcher(asyncio.SubprocessProtocol):
    """Collects what a program writes.

    Attributes:
        settled: that it has ended, or wrote more than it may.
        closed: that nobody can write to us any more, and it has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_text: OnText | None) -> None:
        self.settled: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.exited = False
        self.out = bytearray()
        self._err = bytearray()
        self._on_text = on_text
        self._decode = getincrementaldecoder("utf-8")("replace").decode

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._err += data
            del self._err[:-STDERR_TAIL]
        elif len(self.out) <= MOST_OUTPUT:
            self.out += data
            if self._on_text is not None and (text := self._decode(data)):
                self._on_text(text)
            if len(self.out) > MOST_OUTPUT:
                _settle(self.settled)

    def process_exited(self) -> None:
        self.exited = True
        _settle(self.settled)

    def connection_lost(self, exc: Exception | None) -> None:
        _settle(self.closed)

    def tail(self) -> str:
        return self._err.decode(errors="replace")


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _end(transport: asyncio.SubprocessTransport, watcher: _Watcher) -> None:
    """Nothing of it is left when this returns."""
    group = transport.get_pid()
    try:
        if not watcher.exited:
            _signal(group, signal.SIGTERM)
            await _within(GRACE_S, watcher)
            _signal(group, signal.SIGKILL)
        if not await _within(LINGER_S, watcher):
            _signal(group, signal.SIGKILL)
            await _within(LINGER_S, watcher)
    finally:
        if not watcher.exited:  # cancelled a second time, here
            _signal(group, signal.SIGKILL)
        transport.close()


async def _within(seconds: float, watcher: _Watcher) -> bool:
    """Whether it ended, and its output was closed, within so many seconds."""
    done, _ = await asyncio.wait([watcher.closed], timeout=seconds)
    return bool(done)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
