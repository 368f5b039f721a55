"""Peers made of a bare DEALER socket and the codec: thousands fit in a process.

`ipcbus.Client` has a thread and three sockets, which is right for an agent and too much
for a crowd. These say HELLO, PING, SEND, CREDIT and SETTLE as PROTOCOL.md has it.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import zmq

from benchmarks.curves.place import info_of
from ipcbus import networks
from ipcbus.protocol import codec, limits
from ipcbus.protocol.messages import (
    Answer,
    BrokerMessage,
    Bye,
    Call,
    ClientMessage,
    Hello,
    Welcome,
)
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair, z85

ANSWER_S: Final = 30.0
UNDER_WAY: Final = 256
"""Calls that are unanswered at a time."""


class Peer:
    """One connection. Belongs to the thread that made it."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], network: str, pair: KeyPair
    ) -> None:
        info = info_of(network)
        self.heard = time.monotonic()
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.handshake_ivl = 30_000  # the broker's is what counts
        self.socket.curve_serverkey = z85(info.server_key)
        self.socket.curve_publickey = z85(pair.public)
        self.socket.curve_secretkey = z85(pair.secret)
        self.socket.connect(info.endpoint)

    def say(self, message: ClientMessage) -> None:
        head, body = codec.encode(message)
        self.socket.send(head, zmq.SNDMORE)
        self.socket.send(body)

    def hear(self, within_s: float = 0.0) -> BrokerMessage | None:
        """What the broker says next, None if nothing in time."""
        if not self.socket.poll(int(within_s * 1000)):
            return None
        head, body = self.socket.recv_multipart()
        self.heard = time.monotonic()
        return codec.decode_broker(head, body)

    def greet(self) -> None:
        self.say(Hello(limits.MAJOR, limits.MINOR, 0, "curves"))

    def must_hear(self, kind: type[Any]) -> Any:
        """The next message of that kind. Raises `RuntimeError` if none comes."""
        end = time.monotonic() + ANSWER_S
        while (left := end - time.monotonic()) > 0:
            said = self.hear(left)
            if isinstance(said, kind):
                return said
            if said is not None:
                raise RuntimeError(f"wanted {kind.__name__}, heard {said!r:.200}")
        raise RuntimeError(f"no {kind.__name__} within {ANSWER_S:g} s")

    def close(self) -> None:
        self.say(Bye(keep_leases=False))
        self.socket.close(linger=200)


def opened(most: int) -> zmq.Context[zmq.Socket[bytes]]:
    """A context for so many peers."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, most + 64)
    return context


def call_all(
    network: str, pair: KeyPair, calls: Iterable[tuple[str, list[Any]]]
) -> list[Any]:
    """Make many calls on one connection, some hundred under way; their answers."""
    with opened(1) as context:
        peer = Peer(context, network, pair)
        peer.greet()
        peer.must_hear(Welcome)
        answers: list[Any] = []
        unanswered: deque[int] = deque()
        refs = itertools.count(1)
        for name, arguments in calls:
            if len(unanswered) >= UNDER_WAY:
                answers.append(peer.must_hear(Answer).value)
                unanswered.popleft()
            unanswered.append(next(refs))
            peer.say(Call(unanswered[-1], name, arguments, b""))
        answers += [peer.must_hear(Answer).value for _ in unanswered]
        peer.close()
    return answers


def register(network: str, names: Iterable[str]) -> dict[str, KeyPair]:
    """Register agents, each with a new key."""
    pairs = {name: keys.generate() for name in names}
    calls = [("register", [name, pair.public]) for name, pair in pairs.items()]
    call_all(network, operator(network), calls)
    return pairs


def operator(network: str) -> KeyPair:
    return keys.load(networks.find(network).operator_key)
