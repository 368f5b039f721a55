"""The gate: who may connect (ZAP, RFC 27).

libzmq asks for each handshake, over `inproc://zeromq.zap.01`, whether a key may come
in. The answer is a look-up in a set, and it cannot raise: an exception in a handler
leaves every later client hanging, and no handler at all lets everybody in (measured;
docs/zeromq.md, R17 and R18).

It is served by the thread and the poll of the broker's loop, not by one of its own.
Turns of the loop are bounded, so an answer is late by a commit at most, and a thread
that could die unseen, share the set or stay behind at the end does not exist. The
price: while a disk stalls for longer than the handshake may take (2 s), nobody new
gets in; they try again.

The user id of the answer is the public key in hex. libzmq attaches it to every frame
of that connection, and it is the only thing that says who speaks.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable
from typing import Final

import zmq

ADDRESS: Final = "inproc://zeromq.zap.01"

MOST: Final = 128
"""Requests answered in one turn, about 2 ms: a crowd at the gate must not hold up
those who are inside."""

_VERSION: Final = b"1.0"
_NOBLOCK: Final = int(zmq.NOBLOCK)


class Gate:
    """Answers ZAP requests for one network.

    Attributes:
        refused: told of each key that is turned away, and its address.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], network: str) -> None:
        self.refused: Callable[[str, str], None] = lambda key, address: None
        self._domain = network.encode()
        self._keys: set[str] = set()
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ADDRESS)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def admit(self, key: str) -> None:
        """From now on `key` (hex) may connect."""
        self._keys.add(key)

    def expel(self, key: str) -> None:
        """From now on it may not. Who is inside stays until cut (`watch`)."""
        self._keys.discard(key)

    def reset(self, keys: Iterable[str]) -> None:
        """These and no others may connect."""
        self._keys = set(keys)

    def serve(self) -> None:
        """Answer what is waiting; never blocks, never raises."""
        for _ in range(MOST):
            try:
                request = self.socket.recv_multipart(_NOBLOCK)
            except zmq.Again:
                return
            self.socket.send_multipart(self.answer(request), _NOBLOCK)

    def answer(self, request: list[bytes]) -> list[bytes]:
        """The reply to one request.

        A status of 300 means "not now": libzmq answers nothing, and the client tries
        again after the handshake time. 400 means "never": a client of libzmq stops.
        """
        request_id = request[1] if len(request) > 1 else b""
        try:
            key = self._key_of(request)
            status, text = self._judge(key, request)
        except Exception:  # noqa: BLE001 - see the module: it cannot raise
            key, status, text = "", b"300", b"internal"
        user_id = key.encode() if status == b"200" else b""
        return [_VERSION, request_id, status, text, user_id, b""]

    def _judge(self, key: str, request: list[bytes]) -> tuple[bytes, bytes]:
        if request[0] == _VERSION and request[2] == self._domain and key in self._keys:
            return b"200", b"welcome"
        self.refused(key, request[3].decode("ascii", "replace"))
        return b"400", b"not admitted"

    @staticmethod
    def _key_of(request: list[bytes]) -> str:
        """The public key in hex, or "". Plain mode carries it as the user name."""
        mechanism, credentials = request[5], request[6:]
        if mechanism == b"CURVE":
            return binascii.hexlify(credentials[0]).decode()
        if mechanism == b"PLAIN":
            return credentials[0].decode("ascii", "replace")
        return ""

    def close(self) -> None:
        self.socket.close(linger=0)
