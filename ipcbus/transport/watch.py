"""The watch: which connections there are, who spoke on them, and how they end.

ZeroMQ hides connections behind routing ids. A broker needs to see them four times:

1. **A peer that died** gets its leases taken back at once, not after missed pings.
2. **Bytes without end**, in one message (parts without an end, R10), which is never
   delivered, or in more messages than can be read. No bound of ZeroMQ's stops either:
   MAXMSGSIZE limits a part, and there is no high-water mark (`router.RCVHWM`). Clients
   keep to their send window; a connection that is far ahead of what is read is cut.
3. **A key that was revoked** loses its connections; ZAP asks at the handshake only.
4. **Silence from the beginning.** Who greets has a session, which ends when it falls
   silent; who never does would keep a descriptor and a routing id for ever.

The socket monitor tells of each connection by its file descriptor when it is accepted
and when it has ended; the frames of a peer carry the descriptor they came over.

Descriptors are used again, so which connection is meant? One thread of libzmq
reports *ended* before it closes a descriptor, and closing comes before using it
again. So a cut (a) duplicates the descriptor, (b) reads all reports, (c) looks
whether the connection is still listed: if it is, the duplicate is of that connection
and no other, and is shut down. libzmq sees the end of the stream and cleans up.

What is left to chance: a peer that is gone before its first message is read may be
listed under the next connection with its descriptor. Its end is then noticed at the
first answer that cannot be sent, or when the other one speaks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Iterable
from typing import Final

import zmq

from ipcbus.protocol.limits import HELLO_S, MIB, UNREAD_BYTES
from ipcbus.transport.tcp import bytes_received, shut_down

TICK_S: Final = 0.1
"""Seconds between two looks. A sender of endless 1-byte parts manages some 40 MB in a
second with CURVE, so it is found within one tick of passing the bound."""

GRACE_S: Final = 0.5
"""Seconds from the last word to the cut. An idle machine needs 1 ms to send it, a busy
one a few hundred; a revoked agent is to be gone within a second."""

LOOKS: Final = 200
"""Connections looked at in one tick, 3 us each: what thousands of idle ones cost."""

GROWTH: Final = 64 * MIB
"""Growth of memory after which all connections are looked at, not the next few."""

FRAMING: Final = 84
"""Bytes that the two frames of a message cost on the line besides what is in them, at
most: with CURVE 33 each, and 9 for its length."""

REPORTS: Final = 10_000
"""Reports read at once, about 30 ms; more are left for the next turn."""

_REPORT: Final = struct.Struct("=HI")
_NOBLOCK: Final = int(zmq.NOBLOCK)
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

_log = logging.getLogger("ipcbus.broker")


class Connection:
    """One TCP connection.

    Attributes:
        peer: its routing id, b"" until its first message was read.
        key: the public key (hex) that authenticated it, "" until then.
        messages, bytes: how many were read, and what was in them; the inbox counts.
        seen, received: `messages`, and the bytes it had sent, when last looked at.
        mark: bytes it had sent at the last look at which `messages` had risen.
        rest: bytes it had sent beyond what was read, at the time when the least of them
            were waiting: its handshake, and pings of ZMTP.
        met: when it was first looked at.
        doom: why it is to be cut, "" if it is not.
    """

    __slots__ = (
        "bytes",
        "doom",
        "fd",
        "key",
        "mark",
        "messages",
        "met",
        "peer",
        "received",
        "rest",
        "seen",
    )

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.peer = b""
        self.key = ""
        self.messages = self.bytes = 0
        self.seen = self.received = 0
        self.mark = self.rest = 0
        self.met: float | None = None
        self.doom = ""


class Watch:
    """All connections of a ROUTER socket.

    Attributes:
        known: by routing id, those that have spoken; also ended ones that are `gone`.
        gone: routing ids whose connection ended, until they are taken.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        watched: zmq.Socket[bytes],
        *,
        most: int = 100_000,
        unread: int = UNREAD_BYTES,
    ) -> None:
        self.known: dict[bytes, Connection] = {}
        self.gone: list[bytes] = []
        self._by_fd: dict[int, Connection] = {}
        self._doomed: dict[Connection, float] = {}
        self._rejected: dict[Connection, tuple[float, str]] = {}
        self._round: list[Connection] = []
        self._most = most
        self._unread = unread
        self._next = 0.0
        # Opened beforehand, so that the watch works when there are no descriptors left:
        # what is cut is held by `_hand` for the moment.
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._memory = self._resident()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._hand = os.dup(self._null)
        self._watched = watched
        self.socket = _monitor(context, watched)

    def __len__(self) -> int:
        return len(self._by_fd)

    def read(self) -> bool:
        """Take in what the monitor reports; False if there may be more."""
        for _ in range(REPORTS):
            try:
                report = self.socket.recv(_NOBLOCK)
            except zmq.Again:
                return True
            self.socket.recv(_NOBLOCK)  # the endpoint, which we know
            event, fd = _REPORT.unpack(report)
            if event == zmq.EVENT_ACCEPTED:
                self._accepted(fd)
            else:
                self._ended(fd)
        return False

    def meet(self, peer: bytes, key: str, fd: int) -> Connection:
        """The connection of a peer that is not among `known`.

        One whose connection has ended already is at once `gone`: what it said still
        counts.
        """
        self.read()
        connection = self._by_fd.get(fd)
        if connection is None or _is_older(peer, connection.peer):
            self.gone.append(peer)
            connection = Connection(fd)
        elif connection.peer:  # it has left, and this one has its descriptor
            self.gone.append(connection.peer)
            connection = self._by_fd[fd] = Connection(fd)
        self.known[peer] = connection
        connection.peer, connection.key = peer, key
        return connection

    def take_gone(self) -> list[bytes]:
        """Those that are gone, once all that they have said is read."""
        gone, self.gone = self.gone, []
        for peer in gone:
            connection = self.known.get(peer)
            if connection and self._by_fd.get(connection.fd) is not connection:
                del self.known[peer]
        return gone

    def reject(self, fd: int, reason: str) -> None:
        """Cut the connection that uses this descriptor, in a moment.

        Not one that is met by then: what was rejected has ended, was read late, and
        left its descriptor to another.
        """
        self.read()
        connection = self._by_fd.get(fd)
        if connection is not None and connection not in self._rejected:
            self._rejected[connection] = self._next + GRACE_S, reason

    def doom_peer(self, peer: bytes, reason: str) -> None:
        """Cut its connection in a moment: what was said just now can leave."""
        connection = self.known.get(peer)
        if connection is not None:
            self._doom(connection, reason)

    def doom_key(self, key: str, reason: str) -> None:
        """The same for all connections of a key; they are not `known` any more."""
        for connection in [c for c in self.known.values() if c.key == key]:
            self._doom(connection, reason)
            del self.known[connection.peer]

    def wait(self, mono: float) -> float | None:
        """Seconds to the next tick; None while nobody is connected."""
        return max(0.0, self._next - mono) if self._by_fd else None

    def tick(self, mono: float) -> None:
        """Cut the doomed and look for endless messages, if it is time."""
        if mono < self._next:
            return
        self._next = mono + TICK_S
        for connection in [c for c, due in self._doomed.items() if due <= mono]:
            del self._doomed[connection]
            self._cut(connection, connection.doom)
        for connection, (due, reason) in [*self._rejected.items()]:
            if due <= mono:
                del self._rejected[connection]
                if not connection.peer:
                    self._cut(connection, reason)
        for connection in self._next_ones():
            self._look(connection, mono)

    def close(self) -> None:
        self._watched.disable_monitor()
        self.socket.close(linger=0)
        os.close(self._hand)
        os.close(self._null)
        os.close(self._statm)

    def _accepted(self, fd: int) -> None:
        connection = self._by_fd[fd] = Connection(fd)
        if len(self._by_fd) > self._most:
            self._doom(connection, "too many connections")

    def _ended(self, fd: int) -> None:
        connection = self._by_fd.pop(fd, None)
        if connection is not None and connection.peer:
            self.gone.append(connection.peer)

    def _doom(self, connection: Connection, reason: str) -> None:
        if not connection.doom:
            connection.doom = reason
            self._doomed[connection] = self._next + GRACE_S

    def _next_ones(self) -> Iterable[Connection]:
        """The next few in turn; all of them when memory has grown."""
        memory = self._resident()
        if memory > self._memory + GROWTH:
            self._memory = memory
            return list(self._by_fd.values())
        self._memory = min(self._memory, memory)
        if not self._round:
            self._round = list(self._by_fd.values())
        looks, self._round = self._round[-LOOKS:], self._round[:-LOOKS]
        return looks

    def _resident(self) -> int:
        """Bytes of memory in use."""
        return int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE

    def _look(self, connection: Connection, mono: float) -> None:
        if connection.met is None:
            connection.met = mono
        elif not connection.peer and mono - connection.met > HELLO_S:
            self._cut(connection, f"it said nothing for {HELLO_S:g} s")
            return
        received = bytes_received(connection.fd)
        read = connection.bytes + connection.messages * FRAMING
        moved = connection.messages != connection.seen
        if received - read < connection.rest or (
            not moved and received == connection.received  # it says nothing
        ):
            connection.rest = received - read
        connection.received = received
        if moved or received < connection.mark:
            connection.seen, connection.mark = connection.messages, received
            ahead = received - read - connection.rest
            if ahead > self._unread:
                self._cut(connection, f"{ahead} bytes more than could be read")
        elif received - connection.mark > self._unread:
            unread = received - connection.mark
            self._cut(connection, f"{unread} bytes and no end of the message")

    def _cut(self, connection: Connection, reason: str) -> None:
        if not self._is_current(connection):
            return
        with contextlib.suppress(OSError):  # closed already, which is what we want
            os.dup2(connection.fd, self._hand, inheritable=False)
            if self._is_current(connection):
                _log.info("cut a connection: %s (key %.8s)", reason, connection.key)
                shut_down(self._hand)
        os.dup2(self._null, self._hand, inheritable=False)

    def _is_current(self, connection: Connection) -> bool:
        return self.read() and self._by_fd.get(connection.fd) is connection


def _is_older(peer: bytes, other: bytes) -> bool:
    """Whether `peer` was connected before `other`: libzmq numbers them (modulo 2^32),
    and of two that came over one descriptor the older one is gone."""
    if not other:
        return False
    difference = int.from_bytes(peer[1:]) - int.from_bytes(other[1:])
    return difference % 2**32 >= 2**31


def _monitor(
    context: zmq.Context[zmq.Socket[bytes]], watched: zmq.Socket[bytes]
) -> zmq.Socket[bytes]:
    """The reports of a socket. No ACCEPT_FAILED: without descriptors left libzmq
    makes hundreds of thousands of it in a second (R11). No bound on the queue:
    libzmq's only I/O thread would wait for us."""
    address = f"inproc://watch-{watched.FD}"
    watched.monitor(address, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
    reports = context.socket(zmq.PAIR)
    reports.linger = 0
    reports.rcvhwm = 0
    reports.connect(address)
    return reports
