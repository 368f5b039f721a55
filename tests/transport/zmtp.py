"""ZMTP 3.1 (RFC 37) said by hand, with the mechanisms NULL, PLAIN (RFC 24) and CURVE
(RFC 26): for tests that say what no libzmq would say."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from typing import Final

from ipcbus.protocol.codec import Frames
from ipcbus.transport.keys import KeyPair
from tests.transport import nacl

MORE, LONG, COMMAND = 1, 2, 4
SIGNATURE: Final = b"\xff" + bytes(8) + b"\x7f"


class Closed(Exception):
    """The other side ended the connection, or said what it should not."""


class Silent(Closed):
    """It has not: it says nothing."""


def greeting(mechanism: bytes, version: bytes = b"\3\1") -> bytes:
    return SIGNATURE + version + mechanism.ljust(20, b"\0") + bytes(32)


def frame(payload: bytes, flags: int = 0) -> bytes:
    if len(payload) > 255:
        return bytes([flags | LONG]) + len(payload).to_bytes(8) + payload
    return bytes([flags, len(payload)]) + payload


def named(name: bytes, rest: bytes = b"") -> bytes:
    """The body of a command."""
    return bytes([len(name)]) + name + rest


def command(name: bytes, rest: bytes = b"") -> bytes:
    return frame(named(name, rest), COMMAND)


def metadata(properties: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(
        bytes([len(name)]) + name + len(value).to_bytes(4) + value
        for name, value in properties
    )


DEALER: Final = ((b"Socket-Type", b"DEALER"), (b"Identity", b""))


class Line:
    """A TCP connection to a port, and the bytes as they are."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)

    def say(self, *pieces: bytes) -> None:
        try:
            self.socket.sendall(b"".join(pieces))
        except OSError as error:
            raise Closed from error

    def take(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            try:
                piece = self.socket.recv(count - len(found))
            except TimeoutError as error:
                raise Silent from error
            except OSError as error:
                raise Closed from error
            if not piece:
                raise Closed
            found += piece
        return found

    def frame(self) -> tuple[int, bytes]:
        """Flags and payload of the next frame."""
        (flags,) = self.take(1)
        size = self.take(8 if flags & LONG else 1)
        return flags, self.take(int.from_bytes(size))

    def command(self, name: bytes) -> bytes:
        """What follows the name of the next frame, which must be this command."""
        _, payload = self.frame()
        if not payload.startswith(named(name)):
            raise Closed
        return payload[1 + len(name) :]

    def reset(self) -> None:
        """End it with RST, as a process that is killed with unread bytes does."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


class Plain(Line):
    """A member of a plain network, once `enter` has returned."""

    def enter(
        self, user: str, properties: Iterable[tuple[bytes, bytes]] = DEALER
    ) -> None:
        self.say(greeting(b"PLAIN"))
        self.take(64)
        name = user.encode()
        self.say(command(b"HELLO", bytes([len(name)]) + name + b"\0"))
        self.command(b"WELCOME")
        self.say(command(b"INITIATE", metadata(properties)))
        self.command(b"READY")

    def wrap(self, payload: bytes, flags: int = 0) -> bytes:
        """A frame of the conversation, as it goes over the line."""
        return frame(payload, flags)


class Curve(Line):
    """A member of a network with encryption, once `enter` has returned."""

    key: bytes
    number: int = 0

    def enter(
        self,
        pair: KeyPair,
        server_key: str,
        properties: Iterable[tuple[bytes, bytes]] = DEALER,
    ) -> None:
        self.say(greeting(b"CURVE"))
        self.take(64)
        self.say(command(b"HELLO", self.hello(bytes.fromhex(server_key))))
        self.say(command(b"INITIATE", self.initiate(pair, metadata(properties))))
        self.command(b"READY")

    def hello(self, server: bytes) -> bytes:
        self._server = server
        self._secret = os.urandom(32)
        self._public = nacl.scalarmult(self._secret)
        self._first = nacl.shared(self._secret, server)
        sealed = nacl.seal(self._first, b"CurveZMQHELLO---" + self._short(), bytes(64))
        return b"\1\0" + bytes(72) + self._public + self._last_short + sealed

    def initiate(self, pair: KeyPair, properties: bytes) -> bytes:
        """After the other side's WELCOME, which this waits for."""
        said = self.command(b"WELCOME")
        opened = nacl.unseal(self._first, b"WELCOME-" + said[:16], said[16:])
        server, cookie = opened[:32], opened[32:]
        self.key = nacl.shared(self._secret, server)
        secret, public = bytes.fromhex(pair.secret), bytes.fromhex(pair.public)
        nonce = os.urandom(16)
        both = nacl.shared(secret, server)
        vouch = nacl.seal(both, b"VOUCH---" + nonce, self._public + self._server)
        sealed = nacl.seal(
            self.key,
            b"CurveZMQINITIATE" + self._short(),
            public + nonce + vouch + properties,
        )
        return cookie + self._last_short + sealed

    def wrap(self, payload: bytes, flags: int = 0) -> bytes:
        """A frame of the conversation, as it goes over the line."""
        inner = flags & MORE | (flags & COMMAND) >> 1  # as CURVE has them
        nonce = b"CurveZMQMESSAGEC" + self._short()
        sealed = nacl.seal(self.key, nonce, bytes([inner]) + payload)
        return frame(named(b"MESSAGE", self._last_short + sealed))

    def _short(self) -> bytes:
        self.number += 1
        self._last_short = self.number.to_bytes(8)
        return self._last_short

    def unwrap(self, payload: bytes) -> tuple[int, bytes]:
        """Flags and payload of a frame of the conversation that came."""
        if not payload.startswith(named(b"MESSAGE")):
            raise Closed
        nonce, sealed = payload[8:16], payload[16:]
        opened = nacl.unseal(self.key, b"CurveZMQMESSAGES" + nonce, sealed)
        return opened[0] & MORE | (opened[0] & 2) << 1, opened[1:]


def message(line: Plain | Curve, frames: Frames) -> bytes:
    """A message of the bus, as it goes over the line."""
    return line.wrap(frames[0], MORE) + line.wrap(frames[1])
