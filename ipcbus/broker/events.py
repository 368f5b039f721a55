"""Into and out of the core.

Events are what a turn of the loop found; `Broker.handle(events, now)` returns the
actions that the loop carries out after the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ipcbus.protocol.limits import MINOR
from ipcbus.protocol.messages import BrokerMessage, ClientMessage


class Now(NamedTuple):
    """The time of a turn: `mono` in seconds for deadlines of this process, `wall` in
    UTC milliseconds for what is stored or shown."""

    mono: float
    wall: int


# --- events ------------------------------------------------------------------


class Received(NamedTuple):
    """A message of a peer. `key` is the hex public key that authenticated it."""

    peer: bytes
    key: str
    message: ClientMessage


class Broken(NamedTuple):
    """A peer said something that is no message; it will be closed with `reason`."""

    peer: bytes
    key: str
    reason: str


class PeerLost(NamedTuple):
    """The transport found that a peer is gone."""

    peer: bytes


class BackedUp(NamedTuple):
    """A backup has ended: bytes written, or what went wrong."""

    peer: bytes
    ref: int
    size: int
    problem: str | None


Event = Received | Broken | PeerLost | BackedUp


# --- actions -----------------------------------------------------------------


class Say(NamedTuple):
    """Send a message to a peer."""

    peer: bytes
    message: BrokerMessage


class Hand(NamedTuple):
    """Deliver to a peer: the columns of DELIVER, headers packed. `minor`: of the
    protocol that it speaks."""

    peer: bytes
    seqs: list[int]
    attempts: list[int]
    headers: list[bytes]
    bodies: list[bytes]
    minor: int = MINOR


class Admit(NamedTuple):
    """From now on this public key (hex) may connect."""

    key: str


class Expel(NamedTuple):
    """This key may not connect any more, and its connections must end. `reason` is for
    the log: "its ..."."""

    key: str
    reason: str


class Backup(NamedTuple):
    """Copy the store to `path` and report with `BackedUp`."""

    peer: bytes
    ref: int
    path: Path


class Stop(NamedTuple):
    """End the broker cleanly."""


class Log(NamedTuple):
    """Something that who runs the network should read of."""

    text: str


Action = Say | Hand | Admit | Expel | Backup | Stop | Log
