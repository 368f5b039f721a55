"""Ids of messages: unique without asking anybody, sorted by time, cheap to make.

    id = 10 letters of milliseconds, 8 letters of chance, 8 digits of a counter

As a ULID (https://github.com/ulid/spec) but lower case, with the chance drawn once
for each client: 40 bits keep clients of the same millisecond apart, and the counter
keeps the messages of one client apart and in order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


class Ids:
    """Makes ids; safe from several threads."""

    def __init__(self, wall_ms: int | None = None, chance: bytes | None = None) -> None:
        now = time.time_ns() // 1_000_000 if wall_ms is None else wall_ms
        drawn = int.from_bytes(chance or os.urandom(5), "big")
        form = _letters(now, 10) + _letters(drawn, 8) + "%08x"
        # No bytecode between the steps, so no other thread; and half the time.
        self.fresh: Callable[[], str] = map(form.__mod__, count()).__next__

    def __call__(self) -> str:
        return self.fresh()


def _letters(number: int, width: int) -> str:
    return "".join(
        LETTERS[number >> (5 * place) & 31] for place in reversed(range(width))
    )
