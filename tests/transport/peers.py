"""Peers for tests of the broker's side: real sockets that say what they are told to,
whether a client would say it or not."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import TypeVar

import zmq

from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_broker, encode
from ipcbus.protocol.messages import (
    BrokerMessage,
    ClientMessage,
    Draft,
    Hello,
    Ping,
    Send,
    Welcome,
)
from ipcbus.transport.keys import KeyPair, generate, z85

T = TypeVar("T", bound=BrokerMessage)

BOUND_S = 10.0


class Peer:
    """A DEALER with a key, and a monitor on it."""

    def __init__(
        self,
        endpoint: str,
        server_key: str,
        keys: KeyPair | None = None,
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        routing_id: bytes = b"",
        rcvhwm: int = 0,
        heartbeat_ms: int = 0,
    ) -> None:
        self.keys = keys or generate()
        self.context = context or zmq.Context()
        self._owns = context is None
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = rcvhwm
        self.socket.sndtimeo = 5000
        self.socket.reconnect_ivl = 20
        if heartbeat_ms:
            self.socket.heartbeat_ivl = heartbeat_ms
            self.socket.heartbeat_timeout = 2 * heartbeat_ms
        if routing_id:
            self.socket.routing_id = routing_id
        if server_key:
            self.socket.curve_serverkey = z85(server_key)
            self.socket.curve_publickey = z85(self.keys.public)
            self.socket.curve_secretkey = z85(self.keys.secret)
        else:
            self.socket.plain_username = self.keys.public.encode()
        self.monitor = self.socket.get_monitor_socket()
        self.socket.connect(endpoint)

    def frames(self, *frames: bytes) -> None:
        self.socket.send_multipart(list(frames))

    def say(self, message: ClientMessage) -> None:
        self.frames(*encode(message))

    def try_to_ping(self, number: int) -> None:
        """As `ping`, where there may be nobody to say it to any more."""
        with contextlib.suppress(zmq.Again):
            self.socket.send_multipart(list(encode(Ping(number))), zmq.NOBLOCK)

    def hear(self, bound: float = BOUND_S) -> BrokerMessage:
        message = self.listen(bound)
        assert message is not None, "nothing was heard"
        return message

    def listen(self, bound: float) -> BrokerMessage | None:
        """The next message, or None if none comes."""
        if not self.socket.poll(int(bound * 1000)):
            return None
        head, body = self.socket.recv_multipart()
        return decode_broker(head, body)

    def wait_for(self, kind: type[T], bound: float = BOUND_S) -> T:
        """The next message of a kind; those before it are skipped."""
        deadline = time.monotonic() + bound
        while True:
            message = self.hear(max(0.0, deadline - time.monotonic()))
            if isinstance(message, kind):
                return message

    def hears_nothing(self, seconds: float) -> bool:
        return not self.socket.poll(int(seconds * 1000))

    def hello(self, last_epoch: int = 0) -> Welcome:
        self.say(Hello(limits.MAJOR, limits.MINOR, last_epoch, "test"))
        return self.wait_for(Welcome)

    def ping(self, number: int = 1) -> None:
        self.say(Ping(number))

    def event(self, wanted: int, bound: float = BOUND_S) -> int:
        """Wait for an event of the connection; its value."""
        deadline = time.monotonic() + bound
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"event {wanted} did not come"
            assert self.monitor.poll(int(left * 1000) + 1), f"no event {wanted}"
            report, _ = self.monitor.recv_multipart()
            if int.from_bytes(report[:2], "little") == wanted:
                return int.from_bytes(report[2:6], "little")

    def vanish(self, linger_ms: int = 0) -> None:
        """As when its process is killed; `linger_ms` lets leave what it said."""
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=linger_ms)

    def close(self) -> None:
        if not self.socket.closed:
            self.vanish()
        if self._owns:
            self.context.term()


GREETING_NULL = (
    b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
)
READY_DEALER = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER"


@contextlib.contextmanager
def greeted(port: int) -> Iterator[socket.socket]:
    """A raw connection after ZMTP's NULL handshake: what follows are parts."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(GREETING_NULL)
        raw.recv(64, socket.MSG_WAITALL)
        raw.sendall(READY_DEALER)
        yield raw


def draft(id_: str, to: str, **fields: object) -> Draft:
    plain = Draft(id_, to, "inform", 4, None, None, None, 0, None, None)
    return plain._replace(**fields)  # type: ignore[arg-type]


def send(ref: int, to: str, *bodies: bytes, ids: str = "m") -> Send:
    drafts = [draft(f"{ids}-{ref}-{at}", to) for at in range(len(bodies))]
    return Send(ref, drafts, list(bodies))
