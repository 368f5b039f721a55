"""The bounds that who runs the door may set. PURE.

Sizes are in bytes and times in seconds here; people write them with their units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple


class Limits(NamedTuple):
    """Attributes:
    request_size: of one request. A body of 1 MiB, the most that a message may have,
        and the rest of the object around it.
    request_time: for a request to be whole. Less than the 5 s that old clients wait
        for an answer, so that they are told why there is none.
    answer_size: of one answer, to be read by a single `recv(65536)`. Fewer than the
        65,483 that one segment on loopback carries. Several messages share an answer
        only up to `AT_ONCE`.
    connections: at once; fewer if the machine's bound of descriptors is lower.
    session_time: for which a new session is valid.
    file_time: for which the file of a large message is kept. By default as long as the
        network keeps the message itself.
    """

    request_size: int = 1024 * 1024 + 64 * 1024
    request_time: float = 4.0
    answer_size: int = 65_000
    connections: int = 16_384
    session_time: float = 24 * 3600.0
    file_time: float = 7 * 24 * 3600.0


DEFAULTS: Final = Limits()

AT_ONCE: Final = 32 * 1024
"""Bytes that Linux hands over in one piece. Of what is longer, a reader that is quick
may find the first 32 KiB alone, however large its buffer is (of 60,000 answers of
32,769 bytes 898, of 32,768 none)."""


class Range(NamedTuple):
    """What a limit may be, both ends included."""

    kind: Literal["size", "time", "count"]
    least: int
    most: int


_YEAR: Final = 365 * 24 * 3600

RANGES: Final[Mapping[str, Range]] = {
    # A request is looked at while nobody else is served: 5 ms for each MiB.
    "request_size": Range("size", 4 * 1024, 8 * 1024 * 1024),
    "request_time": Range("time", 1, 60),
    # The least has room for the summary of any message.
    "answer_size": Range("size", 16 * 1024, DEFAULTS.answer_size),
    "connections": Range("count", 16, 65_536),
    "session_time": Range("time", 60, _YEAR),
    "file_time": Range("time", 60, _YEAR),
}
