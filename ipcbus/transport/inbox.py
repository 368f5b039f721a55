"""Reading the ROUTER socket: frames in, events out, nobody trusted.

Each message is a routing id, a head and a body. Anything else is dropped and is a
`Broken`. Who speaks is the `User-Id` that libzmq attached from the ZAP answer, never
the routing id, which clients can choose, nor anything in the message.

The head and the body are received as frames, because a frame knows whether more
follow and what its user id is at half the price of asking the socket (measured: 2.1
against 3.9 us a message). A frame is dropped at once: kept, it pins the 8 KB buffer
it was read into (R16).
"""

from __future__ import annotations

import logging
from typing import Final

import zmq

from ipcbus.broker.events import Broken, Event, PeerLost, Received
from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol.codec import decode_client
from ipcbus.protocol.limits import MIB
from ipcbus.transport.watch import Connection, Watch
from ipcbus.transport.zap import Gate

MOST_MESSAGES: Final = 256
"""ZeroMQ messages read in one turn: as much as one transaction should hold, some
milliseconds of work. libzmq takes them from all peers in rotation."""

MOST_BYTES: Final = 8 * MIB
"""Bytes after which a turn reads no more."""

_NOBLOCK: Final = int(zmq.NOBLOCK)
_USER_ID: Final = b"User-Id"

_log = logging.getLogger("ipcbus.broker")


class Inbox:
    """What peers say, as events."""

    def __init__(self, socket: zmq.Socket[bytes], watch: Watch, gate: Gate) -> None:
        self._socket = socket
        self._watch = watch
        self._gate = gate

    def read(self, events: list[Event]) -> bool:
        """Append what has arrived, within the bounds of a turn.

        Returns whether all of it was read.
        """
        recv, known = self._socket.recv, self._watch.known
        left = MOST_BYTES
        for _ in range(MOST_MESSAGES):
            try:
                peer = recv(_NOBLOCK)
            except zmq.Again:
                return True
            first = recv(_NOBLOCK, False)
            head: bytes = first.bytes
            body = self._body() if first.more else None
            try:
                key = first.get(_USER_ID)
            except zmq.ZMQError:
                _log.error("dropped a message without a user id")
                continue
            connection = known.get(peer)
            if connection is None or connection.key != key:
                connection = self._meet(peer, key, first, events)
                if connection is None:
                    continue
            size = len(head) + len(body or b"")
            connection.messages += 1
            connection.bytes += size
            if not connection.doom:  # after CLOSED nothing counts, nor is it looked at
                events.append(_event(connection, head, body))
            left -= size
            if left < 0:
                break
        return False

    def _body(self) -> bytes | None:
        """The second frame, or None if it is not the last one."""
        second = self._socket.recv(_NOBLOCK, False)
        body: bytes | None = second.bytes
        while second.more:
            second = self._socket.recv(_NOBLOCK, False)
            body = None
        return body

    def _meet(
        self, peer: bytes, key: str, frame: zmq.Frame, events: list[Event]
    ) -> Connection | None:
        """The connection of a peer heard for the first time, if it may speak."""
        fd = int(frame.get(zmq.SRCFD))
        objection = self._objection(peer, key)
        if objection:
            self._watch.reject(fd, objection)
            return None
        if peer in self._watch.known:
            # Another key under this routing id: whoever had it before is gone.
            events.append(PeerLost(peer))
        return self._watch.meet(peer, key, fd)

    def _objection(self, peer: bytes, key: str) -> str | None:
        if key not in self._gate:
            return "its key is not admitted any more"
        if len(peer) != 5 or peer[0] != 0:
            # libzmq's own ids are a zero and a number. One that a client chose could
            # be chosen by another as well, who would then read its mail.
            return "it has set a routing id"
        return None


def _event(connection: Connection, head: bytes, body: bytes | None) -> Event:
    if body is None:
        return Broken(connection.peer, connection.key, "a message is two frames")
    try:
        message = decode_client(head, body)
    except RemoteProtocolError as error:
        return Broken(connection.peer, connection.key, str(error))
    return Received(connection.peer, connection.key, message)
