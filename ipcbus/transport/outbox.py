"""Sending on the ROUTER socket: never waits, never drops without a word.

A peer that is gone (EHOSTUNREACH) is reported as lost. One that does not keep up
(EAGAIN) gets a backlog here and is tried again some hundred times a second, because
ROUTER cannot say which of its peers has room. Its backlog is bounded: the core sends
against credit, so a reader that is only slow never gets there. One that took nothing
for as long as a silent peer is waited for is given up: its messages are in the store.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from ipcbus.broker.events import Hand
from ipcbus.protocol import limits
from ipcbus.protocol.codec import Frames, encode, encode_deliver
from ipcbus.protocol.messages import BrokerMessage, Closed
from ipcbus.transport.watch import Watch

PATIENCE_S: Final = limits.PING_S * limits.PINGS_MISSED
"""Seconds in which a peer must take at least one message."""

MOST_BYTES: Final = limits.MAX_CREDIT_BYTES + limits.SEND_WINDOW_BYTES
"""Bytes of a backlog: all that a session may be owed, and room for answers."""

RETRY_S: Final = 0.005
"""Seconds between two tries for slow peers."""

_OVERHEAD: Final = 128
"""Bytes that two short frames cost besides what is in them."""

_ROW: Final = 24
"""Bytes that a delivery takes in a head besides its header: seq, attempt, size."""

_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)
_LAST: Final = int(zmq.NOBLOCK)


class _Backlog:
    """What a slow peer has not taken yet. `moved`: when it last took something."""

    __slots__ = ("bytes", "frames", "moved")

    def __init__(self, moved: float) -> None:
        self.frames: deque[Frames] = deque()
        self.bytes = 0
        self.moved = moved


class Outbox:
    """What the broker says.

    Attributes:
        lost: peers that turned out to be gone; the loop takes them from here.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        watch: Watch,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost: dict[bytes, None] = {}
        # The method of the compiled class: pyzmq's own `send` around it is for drafts
        # of libzmq, and takes as long again (1.2 and 2.1 us for three frames).
        self._send_frame = super(zmq.Socket, socket).send
        self._watch = watch
        self._mono = mono
        self._slow: dict[bytes, _Backlog] = {}

    @property
    def has_slow(self) -> bool:
        return bool(self._slow)

    def owed(self, peer: bytes) -> int:
        """Bytes that wait for a slow peer."""
        backlog = self._slow.get(peer)
        return backlog.bytes if backlog else 0

    def say(self, peer: bytes, message: BrokerMessage) -> None:
        """Send one message. CLOSED is the last one: the connection ends with it."""
        self._post(peer, encode(message))
        if type(message) is Closed:
            self._watch.doom_peer(peer, f"it was told CLOSED, {message.code}")

    def hand(self, hand: Hand) -> None:
        """Send deliveries, in as many messages as the bounds of frames want."""
        for frames in parcels(hand):
            if not self._post(hand.peer, frames):
                return

    def retry(self) -> None:
        """Send what slow peers take by now; give up those that take nothing."""
        mono = self._mono()
        for peer, backlog in list(self._slow.items()):
            if self._drain(peer, backlog, mono):
                del self._slow[peer]
            elif mono - backlog.moved > PATIENCE_S:
                self._give_up(peer, f"it read nothing for {PATIENCE_S:g} s")

    def forget(self, peer: bytes) -> None:
        """The peer is gone; so is what it was owed."""
        self._slow.pop(peer, None)

    def _post(self, peer: bytes, frames: Frames) -> bool:
        """Send or keep; False if the peer is gone."""
        backlog = self._slow.get(peer)
        if backlog is None:
            try:
                self._send(peer, frames)
            except zmq.Again:
                backlog = self._slow[peer] = _Backlog(self._mono())
            except zmq.ZMQError:
                self.lost[peer] = None
                return False
            else:
                return True
        backlog.frames.append(frames)
        backlog.bytes += _size(frames)
        if backlog.bytes > MOST_BYTES:
            self._give_up(peer, f"it left {backlog.bytes} bytes unread")
            return False
        return True

    def _drain(self, peer: bytes, backlog: _Backlog, mono: float) -> bool:
        """Whether nothing is left, the peer itself maybe included."""
        while backlog.frames:
            try:
                self._send(peer, backlog.frames[0])
            except zmq.Again:
                return False
            except zmq.ZMQError:
                self.lost[peer] = None
                return True
            backlog.bytes -= _size(backlog.frames.popleft())
            backlog.moved = mono
        return True

    def _give_up(self, peer: bytes, reason: str) -> None:
        del self._slow[peer]
        self.lost[peer] = None
        self._watch.doom_peer(peer, reason)

    def _send(self, peer: bytes, frames: Frames) -> None:
        # Only the routing id can fail: it asks for a peer, and room for a message.
        send = self._send_frame
        send(peer, _MORE)
        send(frames[0], _MORE)
        send(frames[1], _LAST)


def parcels(hand: Hand) -> Iterator[Frames]:
    """The DELIVER messages for `hand`: each within the bounds of a batch and a head,
    and none without a delivery."""
    _, seqs, attempts, headers, bodies, minor = hand
    count = len(seqs)
    if (
        0 < count <= limits.MAX_BATCH
        and sum(map(len, bodies)) <= limits.BATCH_BYTES
        and sum(map(len, headers)) + (count + 1) * _ROW <= limits.MAX_HEAD
    ):  # as nearly always
        yield encode_deliver(seqs, attempts, headers, bodies, minor)
        return
    start = 0
    for end in _ends(headers, bodies):
        part = slice(start, end)
        columns = (seqs[part], attempts[part], headers[part], bodies[part])
        yield encode_deliver(*columns, minor)
        start = end


def _ends(headers: list[bytes], bodies: list[bytes]) -> Iterator[int]:
    """Where each parcel ends."""
    count = body_bytes = 0
    head_bytes = _ROW
    for at, (header, body) in enumerate(zip(headers, bodies, strict=True)):
        count += 1
        head_bytes += len(header) + _ROW
        body_bytes += len(body)
        if count > 1 and (
            count > limits.MAX_BATCH
            or head_bytes > limits.MAX_HEAD
            or body_bytes > limits.BATCH_BYTES
        ):
            yield at
            count, body_bytes = 1, len(body)
            head_bytes = len(header) + 2 * _ROW
    if count:
        yield len(headers)


def _size(frames: Frames) -> int:
    return len(frames[0]) + len(frames[1]) + _OVERHEAD
