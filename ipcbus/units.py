"""Durations and sizes as people write them: "7d", "500ms", "64MiB".

One whole number and one unit, or a plain 0. A number without a unit is refused: in
one place it would be seconds and in another milliseconds. So are KB and MB, which
are 1000 to some and 1024 to others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

DURATIONS: Final[Mapping[str, int]] = {
    "d": 24 * 3600 * 1000,
    "h": 3600 * 1000,
    "m": 60 * 1000,
    "s": 1000,
    "ms": 1,
}
"""Milliseconds of each unit, the longest first."""

SIZES: Final[Mapping[str, int]] = {
    "TiB": 1024**4,
    "GiB": 1024**3,
    "MiB": 1024**2,
    "KiB": 1024,
    "B": 1,
}
"""Bytes of each unit, the largest first."""

MAX_DIGITS: Final = 12
"""Of any number here: more is a slip, and would not fit 2**53 with its unit."""

_AMOUNT: Final = re.compile(rf"([0-9]{{1,{MAX_DIGITS}}}) ?([A-Za-z]*)\Z")


def duration_ms(text: str) -> int:
    """Milliseconds of "7d", "2h", "90s" or "500ms". Raises `ValueError`."""
    return _read(text, DURATIONS, "a duration such as 90s, 2h or 7d")


def size_bytes(text: str) -> int:
    """Bytes of "64MiB", "10KiB" or "300B". Raises `ValueError`."""
    return _read(text, SIZES, "a size such as 10KiB, 64MiB or 2GiB")


def show_duration(milliseconds: int) -> str:
    """The shortest exact spelling; `duration_ms` reads it back."""
    return _show(milliseconds, DURATIONS)


def show_size(count: int) -> str:
    """The shortest exact spelling; `size_bytes` reads it back."""
    return _show(count, SIZES)


def _read(text: str, units: Mapping[str, int], wanted: str) -> int:
    match = _AMOUNT.match(text)
    if match is not None:
        number, unit = int(match[1]), match[2]
        if unit in units:
            return number * units[unit]
        if number == 0 and not unit:
            return 0
    raise ValueError(f"{text!r} is not {wanted} (units: {', '.join(units)})")


def _show(amount: int, units: Mapping[str, int]) -> str:
    if amount == 0:
        return "0"
    for unit, worth in units.items():
        if amount % worth == 0:
            return f"{amount // worth}{unit}"
    raise AssertionError("the last unit is 1")
