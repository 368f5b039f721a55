"""One connection to a broker: a DEALER socket that is used once.

ZeroMQ would reconnect by itself, but has either jitter or backoff and, after a refused
handshake, neither an end nor a word; and what it had queued is lost or sent in the
name of a session that is over. So it may do so after an hour only. A connection that
fails says so through the monitor, is closed, and its owner makes a new one.

It is not off (RECONNECT_IVL -1), and IMMEDIATE is not on: with either of them libzmq
takes the pipe away from under a reader when the connection ends, and a reader that has
the first frame of a message by then aborts the process (`!_more`, fq.cpp:80). Of
clients that were frozen and woke up to a full inbox every second one did.

No bound of ZeroMQ is relied on: what may be under way is bounded by credit one way and
by the send window the other, and a queue that fills aborts the process (libzmq #3937).
For the same reason there are no ZMTP heartbeats here; the client pings.
"""

from __future__ import annotations

import os
from itertools import count
from struct import unpack
from typing import Final, NamedTuple

import zmq

from ipcbus.errors import Disconnected, IpcbusError, NoBroker, NotPermitted
from ipcbus.protocol.limits import HANDSHAKE_MS, MAX_FRAME
from ipcbus.transport.keys import KeyPair, z85

Frames = tuple[bytes, bytes]

EVENTS: Final = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
)

NEVER_MS: Final = 3_600_000
"""Until ZeroMQ would connect again: by then the socket has long been closed."""

MOST_SOCKETS: Final = 8192
"""Three of them make one client; tests and benchmarks run hundreds in a process."""

_context: tuple[int, zmq.Context[zmq.Socket[bytes]]] | None = None
_numbers = count()


class Target(NamedTuple):
    """Where a broker is and how to know it. `server_key` is hex; None if plain."""

    network: str
    endpoint: str
    server_key: str | None


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """The one context of this process; a forked child gets its own."""
    global _context
    if _context is None or _context[0] != os.getpid():
        made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        made.set(zmq.MAX_SOCKETS, MOST_SOCKETS)
        _context = (os.getpid(), made)
    return _context[1]


class Dealer:
    """Belongs to the thread that made it."""

    def __init__(self, target: Target, keys: KeyPair, wake_fd: int) -> None:
        self.target = target
        self.ready = False
        name = f"inproc://ipcbus-monitor-{next(_numbers)}"
        self._socket, self._monitor = _opened(target)
        self._poller = zmq.Poller()
        try:
            _set_options(self._socket, target, keys)
            self._socket.monitor(name, EVENTS)
            self._monitor.connect(name)
            self._socket.connect(target.endpoint)
        except zmq.ZMQError as error:
            self.close()
            reason = f"{target.endpoint} cannot be used: {error}"
            raise NoBroker(network=target.network, reason=reason) from error
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._poller.register(wake_fd, zmq.POLLIN)
        self._recv = self._socket.recv
        self._send = self._socket.send

    def wait(self, seconds: float) -> None:
        """Until something was received, has happened, or the wake-up fd is readable."""
        self._poller.poll(max(0, min(int(seconds * 1000) + 1, 3_600_000)))

    def watch(self) -> None:
        """Look at what has happened. Raises when the connection is over."""
        while int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            event, value = unpack("=HI", self._monitor.recv(zmq.NOBLOCK))
            self._monitor.recv(zmq.NOBLOCK)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.ready = True
                continue
            raise self._problem(event, value)

    def _problem(self, event: int, value: int) -> IpcbusError:
        target = self.target
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            if value != 400:  # 300 and 500: the broker could not tell, for now
                reason = f"{target.endpoint} could not check the key ({value})"
                return Disconnected(network=target.network, reason=reason)
            reason = f"{target.network} does not know this key, or it was revoked"
            return NotPermitted(reason=reason)
        if self.ready:
            return self._broke()
        if event == zmq.EVENT_CLOSED:
            reason = f"nobody listens at {target.endpoint}"
        else:
            reason = f"what listens at {target.endpoint} is not that broker"
        return NoBroker(network=target.network, reason=reason)

    def receive(self) -> Frames | None:
        """The next message, or None. One that has not two frames is `(b"", b"")`,
        which no decoder takes."""
        try:
            head = self._recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        if not self._socket.get(zmq.RCVMORE):
            return b"", b""
        body = self._recv(zmq.NOBLOCK)
        if self._socket.get(zmq.RCVMORE):
            while self._socket.get(zmq.RCVMORE):
                self._recv(zmq.NOBLOCK)
            return b"", b""
        return head, body

    def send(self, frames: Frames) -> None:
        """Raises `Disconnected` if there is no connection yet, or ZeroMQ does not take
        it."""
        if not self.ready:
            raise self._broke()
        try:
            self._send(frames[0], zmq.SNDMORE | zmq.NOBLOCK)
            self._send(frames[1], zmq.NOBLOCK)
        except zmq.Again as error:
            raise self._broke() from error

    def _broke(self) -> Disconnected:
        reason = f"the connection to {self.target.endpoint} broke"
        return Disconnected(network=self.target.network, reason=reason)

    def close(self, linger_ms: int = 0) -> None:
        """`linger_ms` gives a last word time to leave; this does not wait for it."""
        self._socket.disable_monitor()
        self._socket.close(linger=linger_ms)
        self._monitor.close(linger=0)


def _opened(target: Target) -> list[zmq.Socket[bytes]]:
    """Two sockets, or none if there are no descriptors left."""
    made: list[zmq.Socket[bytes]] = []
    try:
        for kind in (zmq.DEALER, zmq.PAIR):
            made.append(context().socket(kind))
            made[-1].linger = 0
    except zmq.ZMQError as error:
        for socket in made:
            socket.close(linger=0)
        reason = f"no socket could be opened: {error}"
        raise NoBroker(network=target.network, reason=reason) from error
    return made


def _set_options(socket: zmq.Socket[bytes], target: Target, keys: KeyPair) -> None:
    for option, value in (
        (zmq.RCVHWM, 0),
        (zmq.SNDHWM, 0),
        (zmq.SNDTIMEO, 0),
        (zmq.RECONNECT_IVL, NEVER_MS),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.MAXMSGSIZE, MAX_FRAME),
    ):
        socket.set(option, value)
    if target.server_key is None:
        # No proof of anything: a plain network is for trying things out on loopback.
        socket.set(zmq.PLAIN_USERNAME, keys.public.encode())
        return
    socket.set(zmq.CURVE_SERVERKEY, z85(target.server_key))
    socket.set(zmq.CURVE_PUBLICKEY, z85(keys.public))
    socket.set(zmq.CURVE_SECRETKEY, z85(keys.secret))
