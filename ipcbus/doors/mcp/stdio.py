"""The wire of the process's own stdin and stdout.

The SDK's own reader of stdin cannot be cancelled while it waits for a line, and this
process has to end within a tenth of a second of a signal. So lines come from a daemon
thread, which nobody waits for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from typing import Any, TextIO, cast

import anyio
from anyio import from_thread
from anyio.lowlevel import EventLoopToken, current_token
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage

from ipcbus.doors.mcp.refusing import refusals


class Lines:
    """Lines of a file, as `async for` gets them; the SDK asks for no more.

    Attributes:
        out: where what is no message is answered, which the SDK would drop.
    """

    out: WriteStream[SessionMessage]

    def __init__(self, file: TextIO) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[str]:
        sending, receiving = anyio.create_memory_object_stream[str](64)
        args = (sending, current_token())
        threading.Thread(target=self._read, args=args, daemon=True).start()
        async with receiving:
            async for line in receiving:
                wrong = refusals(line)
                for error in wrong:
                    await self.out.send(SessionMessage(error))
                if not wrong:
                    yield line

    def _read(
        self, sending: MemoryObjectSendStream[str], token: EventLoopToken
    ) -> None:
        try:
            for line in self._file:
                from_thread.run(sending.send, line, token=token)
            from_thread.run_sync(sending.close, token=token)
        except (OSError, RuntimeError, CancelledError, anyio.BrokenResourceError):
            return  # the server has ended before its client


def take_wire() -> tuple[TextIO, TextIO]:
    """stdin and stdout as they were. From now on what anybody prints goes to stderr,
    and children read nothing: only the protocol is on the wire."""
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return (
        os.fdopen(reading, encoding="utf-8", errors="replace"),
        os.fdopen(writing, "w", encoding="utf-8"),
    )


async def serve(server: Server[Any], reading: TextIO, writing: TextIO) -> None:
    """Until the client closes the wire, or has gone without."""
    lines = Lines(reading)
    file = cast("anyio.AsyncFile[str]", lines)
    options = server.create_initialization_options()
    try:
        async with stdio_server(file, anyio.wrap_file(writing)) as (incoming, out):
            lines.out = out  # nothing was awaited since, so no line was read yet
            await server.run(incoming, out, options)
    except* (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        os.dup2(1, writing.fileno())  # what is still in the file's buffer goes nowhere
