"""What is measured: pairs of a sender and a receiver, body size, window, encryption."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

MIB = 1024 * 1024

FLYING_BYTES = 8 * MIB
"""Bytes that one sender may have unanswered, as the protocol bounds it."""

ALL_FLYING_BYTES = 64 * MIB
"""The same of all senders of a case: 100 windows of 8 MiB are no case of ours."""

SAMPLE_EVERY = 16
"""One in so many messages carries the time; all do when the window is 1."""

END = b"\xff" * 8
NO_TIME = b"\0" * 8
"""How bodies begin: when they were sent, or one of these."""

_STAMP = struct.Struct("<q")


class Case(NamedTuple):
    """One line of the table."""

    pairs: int
    size: int
    window: int
    plain: bool

    @property
    def name(self) -> str:
        size = f"{self.size} B" if self.size < 1024 else f"{self.size // 1024} KiB"
        pairs = "pair" if self.pairs == 1 else "pairs"
        how = "plain" if self.plain else "curve"
        return f"{self.pairs} {pairs}, {size}, window {self.window}, {how}"

    @property
    def flying(self) -> int:
        """Messages that one sender has under way: the window, within its bytes."""
        most = min(FLYING_BYTES, ALL_FLYING_BYTES // self.pairs) // self.size
        return max(1, min(self.window, most))


def all_cases() -> Iterator[Case]:
    for pairs in (1, 100):
        for size in (256, 65536):
            for window in (1, 64, 1024):
                for plain in (False, True):
                    yield Case(pairs, size, window, plain)


def stamp(nanoseconds: int) -> bytes:
    return _STAMP.pack(nanoseconds)


def stamped(body: bytes) -> int:
    """Nanoseconds of the monotonic clock that a body begins with."""
    at: int = _STAMP.unpack_from(body)[0]
    return at
