"""What a link wants done; its runner does it, in order. PURE."""

from __future__ import annotations

from typing import Any, NamedTuple

from ipcbus_bridges.moving import Item


class Meet(NamedTuple):
    """Tell both ends who the other is; `met` or `refused` follows."""


class Lead(NamedTuple):
    """Ask the source for the lead; `led` or `refused` follows."""

    terms: dict[str, Any]


class Credit(NamedTuple):
    messages: int
    bytes: int


class HandOver(NamedTuple):
    ref: int
    epoch: int
    moves: list[Any]
    bodies: list[bytes]


class Settle(NamedTuple):
    ref: int
    groups: list[list[Any]]


class Fetch(NamedTuple):
    """Bring the attachments of a message over; `fetched` follows."""

    item: Item


class Report(NamedTuple):
    """Tell both ends how the link is; `reported` follows."""

    said: dict[str, Any]


Action = Meet | Lead | Credit | HandOver | Settle | Fetch | Report
