"""Seeded walks through ZMTP against the port of a real broker: greetings, commands and
frames that are right, nearly right, or nothing at all.

    python -m tests.transport.zmtp_walk --mechanism curve --minutes 30

walks through one mechanism for as long as that, against a network of its own. With
`--seed` it says the same again, as far as the other side lets it. Prints what was done;
ends with an error if the broker died, stopped serving, or grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ipcbus import networks
from ipcbus.errors import NoBroker
from ipcbus.networks import Network
from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.limits import MIB
from ipcbus.protocol.messages import Call, Credit, Hello, Ping, Settle, Welcome
from ipcbus.transport import launch
from ipcbus.transport.keys import KeyPair, generate
from tests.faults.crew import rss_bytes
from tests.transport import zmtp
from tests.transport.members import Members, members
from tests.transport.peers import send
from tests.transport.zmtp import COMMAND, LONG, MORE, Curve, Line, Plain

MECHANISMS = ("null", "plain", "curve")
ROUND = 50
"""Connections between two looks at the broker."""

WARM_UP = 0.3
"""Part of a walk after which the broker should not grow any more."""

GROWTH = 10 * MIB
PATIENCE_S = 0.5
HASTE_S = 0.02
"""How long an answer is waited for, and how long after something strange was said."""

SALUTE = Hello(limits.MAJOR, limits.MINOR, 0, "walk")
SAID = [
    encode(SALUTE),
    encode(send(1, "nobody", b"body", b"another")),
    encode(Settle(2, [1, 5, 1], [[9, 1, 0, None]], [[8, 1, 5000]], [3, 1, 1])),
    encode(Credit(3, 100, 100_000, 5_000)),
    encode(Call(4, "history", [10, None, None, None, 100], b"")),
    encode(Ping(5)),
]
NAMES = [
    *(b"READY", b"ERROR", b"PING", b"PONG", b"SUBSCRIBE", b"CANCEL", b"JOIN", b"LEAVE"),
    *(b"HELLO", b"WELCOME", b"INITIATE", b"MESSAGE", b"EVIL", b""),
]
PROPERTIES = [b"User-Id", b"X-User-Id", b"Peer-Address", b"Resource", b""]
SIZES = [0, 1, 2, 6, 7, 8, 22, 23, 24, 30, 255, 256, 300, 2000]
LENGTHS = [0, 1, 255, 256, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


class Walk:
    """Connections of one mechanism to one broker.

    Attributes:
        counts: connections, handshakes that were completed, frames said after those.
    """

    def __init__(
        self, people: Members, mechanism: str, pair: KeyPair, dice: random.Random
    ) -> None:
        self.people = people
        self.counts: Counter[str] = Counter()
        self._mechanism = mechanism
        self._pair = pair
        self._dice = dice
        self._port = int(people.broker.endpoint.rpartition(":")[2])

    def connect(self) -> None:
        """One connection, from its greeting to one of its ends."""
        self.counts["connections"] += 1
        kind: type[Line] = {"null": Line, "plain": Plain, "curve": Curve}[
            self._mechanism
        ]
        line = kind(self._port, PATIENCE_S)
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(zmtp.Closed, ValueError):
                self._greet(line)
                self._introduce(line)
                self._talk(line)
        finally:
            self._leave(line)

    def _greet(self, line: Line) -> None:
        mechanism = self._mechanism.upper().encode()
        if self._dice.random() < 0.1:
            mechanism = self._dice.choice([b"NULL", b"PLAIN", b"CURVE", b"GSSAPI", b""])
        version = b"\3\1"
        if self._dice.random() < 0.1:
            version = self._dice.choice([b"\0\0", b"\1\0", b"\2\5", b"\3\0", b"\xff\1"])
        self._say(line, zmtp.greeting(mechanism, version), 0.15)
        line.take(64)

    def _introduce(self, line: Line) -> None:
        """The handshake; now and then something else in its place."""
        if isinstance(line, Curve):
            server = bytes.fromhex(self.people.broker.server_key)
            self._command(line, b"HELLO", line.hello(server))
            said = line.initiate(self._pair, self._metadata())
            self._command(line, b"INITIATE", said)
        elif isinstance(line, Plain):
            user = self._pair.public.encode()
            self._command(line, b"HELLO", bytes([len(user)]) + user + b"\0")
            line.command(b"WELCOME")
            self._command(line, b"INITIATE", self._metadata())
        else:
            self._command(line, b"READY", self._metadata())
        line.command(b"READY")
        self.counts["handshakes"] += 1

    def _command(self, line: Line, name: bytes, rest: bytes) -> None:
        if self._dice.random() < 0.1:
            self._say(line, self._strange_frame(), 0.2)
        if self._dice.random() < 0.1:
            rest = self.mangled(rest)
        self._say(line, zmtp.command(name, rest), 0.1)

    def _metadata(self) -> bytes:
        """Properties as a DEALER has them, and others."""
        dice = self._dice
        properties = list(zmtp.DEALER)
        if dice.random() < 0.2:
            kind = dice.choice([b"ROUTER", b"REQ", b"SUB", b"PAIR", b"", b"x" * 300])
            properties[0] = (b"Socket-Type", kind)
        if dice.random() < 0.2:
            properties[1] = (b"Identity", dice.randbytes(dice.choice([1, 4, 5, 255])))
        if dice.random() < 0.2:
            added = (dice.choice(PROPERTIES), dice.randbytes(20))
            properties.insert(dice.randrange(3), added)
        packed = zmtp.metadata(properties)
        return self.mangled(packed) if dice.random() < 0.1 else packed

    def _talk(self, line: Line) -> None:
        """What a member may say, in its frames, and what none would."""
        wrap: Callable[[bytes, int], bytes]
        wrap = line.wrap if isinstance(line, (Plain, Curve)) else zmtp.frame
        for frames in [SAID[0], *self._dice.choices(SAID, k=self._dice.randrange(8))]:
            head, body = frames
            if self._dice.random() < 0.4:
                head = self.mangled(head)
            pieces = [wrap(head, MORE), wrap(body, 0)]
            if self._dice.random() < 0.3:
                pieces.insert(self._dice.randrange(3), self._wrapped_command(wrap))
            if self._dice.random() < 0.1:
                pieces[0] = wrap(head, self._dice.randrange(8))
            self.counts["frames"] += len(pieces)
            for piece in pieces:
                self._say(line, piece, 0.05)

    def _wrapped_command(self, wrap: Callable[[bytes, int], bytes]) -> bytes:
        payload = zmtp.named(self._dice.choice(NAMES), self._rest())
        if self._dice.random() < 0.2:
            payload = self.mangled(payload)
        return wrap(payload, COMMAND | (self._dice.random() < 0.1))

    def _strange_frame(self) -> bytes:
        """A frame with a name or a size that has no place there."""
        dice = self._dice
        if dice.random() < 0.3:
            flags = dice.choice([LONG, LONG | COMMAND, LONG | MORE])
            return bytes([flags]) + dice.choice(LENGTHS).to_bytes(8) + self._rest()
        payload = zmtp.named(dice.choice(NAMES), self._rest())
        return zmtp.frame(payload, dice.choice([0, COMMAND, MORE, dice.randrange(256)]))

    def _rest(self) -> bytes:
        return self._dice.randbytes(self._dice.choice(SIZES))

    def mangled(self, data: bytes) -> bytes:
        """Nearly the same bytes."""
        dice, changed = self._dice, bytearray(data)
        at = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0:
                for _ in range(dice.randrange(1, 4)):
                    changed[at % max(1, len(data)) : at + 1] = dice.randbytes(1)
                    at = dice.randrange(len(changed) + 1)
            case 1:
                del changed[at:]
            case 2:
                changed[at:at] = dice.randbytes(dice.choice(SIZES))
            case 3:
                del changed[at : at + dice.randrange(1, 9)]
            case 4:
                changed += data
            case _:
                changed[at : at + 8] = dice.choice(LENGTHS).to_bytes(8)
        return bytes(changed)

    def _say(self, line: Line, data: bytes, oddness: float) -> None:
        """Say it, whole or in pieces; oddly with that chance."""
        if self._dice.random() < oddness:
            data = self.mangled(data)
            line.socket.settimeout(HASTE_S)
        cut = self._dice.randrange(len(data) + 1) if self._dice.random() < 0.2 else 0
        line.say(data[:cut])
        line.say(data[cut:])

    def _leave(self, line: Line) -> None:
        """Close, reset, or say no more but listen for a moment."""
        way = self._dice.randrange(3)
        if way == 0:
            line.reset()
            return
        if way == 1:
            line.socket.settimeout(HASTE_S)
            with contextlib.suppress(OSError):
                line.socket.shutdown(socket.SHUT_WR)
                line.socket.recv(65536)
        line.close()


def walk(
    walker: Walk, goes_on: Callable[[], bool], progress: Callable[[], float]
) -> float:
    """Connect until told to stop. Returns by how many MiB the broker has grown since
    the warm-up. Raises `AssertionError` when it does not serve any more."""
    people, warm = walker.people, 0
    while goes_on():
        for _ in range(ROUND):
            walker.connect()
        serves(people)
        if not warm and progress() >= WARM_UP:
            warm = rss_bytes(people.broker.pid)
    return (rss_bytes(people.broker.pid) - warm) / MIB


def serves(people: Members, bound: float = 20.0) -> None:
    """The same broker lets in its operator, and answers."""
    guest = people.peer(people.operator.keys)
    try:
        guest.say(SALUTE)
        assert guest.wait_for(Welcome, bound).epoch == people.broker.epoch
    finally:
        guest.close()


@contextlib.contextmanager
def served(network: Network, mechanism: str) -> Iterator[Members]:
    """Its broker, with the mechanism that the walk needs, and an operator."""
    network.save(network.saved()._replace(plain=mechanism == "plain"))
    with members(network, launch.start(network, wait_s=60)) as people:
        yield people


def _main() -> None:
    parser = argparse.ArgumentParser(prog="tests.transport.zmtp_walk")
    parser.add_argument("--mechanism", choices=MECHANISMS, default="curve")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--stranger", action="store_true", help="with a key of nobody")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as home:
        os.environ["IPCBUS_HOME"] = home
        network = networks.create("walk")
        try:
            with served(network, given.mechanism) as people:
                _for_minutes(people, given)
        finally:
            with contextlib.suppress(NoBroker):  # it has died, which was told
                launch.stop(network, force=True)


def _for_minutes(people: Members, given: argparse.Namespace) -> None:
    print(f"seed {given.seed}", flush=True)
    pair = generate() if given.stranger else people.register("walker")
    walker = Walk(people, given.mechanism, pair, random.Random(given.seed))
    began, length = time.monotonic(), 60 * given.minutes

    def progress() -> float:
        return float((time.monotonic() - began) / length)

    grown = walk(walker, lambda: progress() < 1, progress)
    print(f"{given.mechanism}: {dict(walker.counts)}; broker {grown:+.1f} MiB")
    assert grown * MIB < GROWTH, "the broker grows"


if __name__ == "__main__":
    _main()
