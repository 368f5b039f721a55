"""The listening socket, and the bounds of all connections together.

Connections whose request is not whole are the first to go when there are too many, the
oldest before the others: nobody can shut others out by holding them.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple

import ipcbus
from ipcbus_bridges.claude_ipc import wording
from ipcbus_bridges.claude_ipc.connection import Connection, Stage
from ipcbus_bridges.claude_ipc.desk import Answer
from ipcbus_bridges.claude_ipc.limits import Limits

HOST: Final = "127.0.0.1"

BACKLOG: Final = 4096
"""Connections that the kernel may hold for us; it has a bound of its own."""

AT_ONCE: Final = 64
"""Connections taken before others are looked at: under 2 ms."""

MOST_CLIENTS: Final = 500
DESCRIPTORS: Final = 10
"""Of each client of the network, about."""

MAX_HELD: Final = 256 * 1024 * 1024
"""Bytes of requests that are not answered, of all connections together."""

SEND_BUFFER: Final = 256 * 1024
"""Bytes that the kernel takes at once: all of an answer, so that it goes out in one
piece and is there for a single `recv`."""

SWEEP_S: Final = 0.25
PAUSE_S: Final = 0.05
"""After the machine has refused a descriptor."""

GOODBYE_S: Final = 2.0

_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Handle = Callable[[bytes], Awaitable[Answer]]


def listen(port: int) -> socket.socket:
    """A socket that listens on `port` (0: a free one). Raises `PortInUse`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.bind((HOST, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ipcbus.errors.PortInUse(endpoint=f"{HOST}:{port}") from error
        reason = f"cannot listen on {HOST}:{port}: {error.strerror}"
        raise ipcbus.IpcbusError(reason=reason) from error
    return sock


class Room(NamedTuple):
    """Connections of old programs, and clients of the network, that may be there."""

    connections: int
    clients: int


def room(connections: int) -> Room:
    """At most `connections`, and what our bound of descriptors has room for, once it is
    as high as we may have it: three fifths for connections, a quarter for clients, and
    some for the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return Room(connections, MOST_CLIENTS)
    clients = max(1, soft // 4 // DESCRIPTORS)
    return Room(min(connections, soft * 3 // 5), min(MOST_CLIENTS, clients))


class Server:
    """Serves `listener` from when it is made, in the running loop.

    Attributes:
        held: bytes of requests that are not answered.
    """

    def __init__(self, listener: socket.socket, handle: Handle, limits: Limits) -> None:
        self.handle = handle
        self.listener = listener
        self.limits = limits
        self._connections: set[Connection] = set()
        self._unfinished: dict[Connection, None] = {}
        """Those whose request is not whole, the oldest first."""
        self.held = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener, self._accept)
        self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)

    def __len__(self) -> int:
        return len(self._connections)

    async def close(self) -> None:
        """Take nobody new, and let those that are here finish, if they do it soon."""
        if self.listener.fileno() >= 0:
            self._loop.remove_reader(self.listener)
            self.listener.close()
        for connection in list(self._connections):
            if connection.stage is Stage.READING:
                connection.end(was_read=False)
        end = time.monotonic() + GOODBYE_S
        while self._connections and time.monotonic() < end:
            await asyncio.sleep(0.01)
        self._sweeping.cancel()
        for connection in list(self._connections):
            connection.end(was_read=False)

    # --- what connections tell -------------------------------------------------------

    def heard(self, connection: Connection) -> None:
        self._unfinished.pop(connection, None)

    def holds(self, more: int) -> bool:
        self.held += more
        return self.held <= MAX_HELD

    def over(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._unfinished.pop(connection, None)

    # --- within ----------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, _ = self.listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._no_descriptor()
                return  # the others are of a connection that is gone already
            sock.setblocking(False)
            self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        connection = Connection(sock, self)
        self._connections.add(connection)
        self._unfinished[connection] = None
        if len(self._connections) > self.limits.connections:
            next(iter(self._unfinished)).refuse(wording.TOO_MANY)

    def _no_descriptor(self) -> None:
        """Give up some that have not said much, and try again a little later."""
        for connection in list(self._unfinished)[:AT_ONCE]:
            connection.end(was_read=False)
        self._loop.remove_reader(self.listener)
        self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self.listener.fileno() >= 0:
            self._loop.add_reader(self.listener, self._accept)

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [c for c in self._connections if c.deadline <= now]:
            connection.late()
        self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)
