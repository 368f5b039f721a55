"""What the keys of a rule may hold, and how it is read. PURE.

Every function takes text as it was written and returns a value, or raises `ValueError`
with what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, cast, get_args

import ipcbus
from ipcbus_bridges.patterns import MAX_TOPIC, MAX_TOPIC_PARTS, is_topic
from ipcbus_bridges.rates import Exceed, Per, Rate
from ipcbus_bridges.redact import MAX_REPLACEMENT, check_mask
from ipcbus_bridges.rule import (
    MAX_BODY,
    MAX_HOLD_MS,
    MAX_REPLIES,
    PRIORITIES,
    SENDABLE,
    UNITS,
    Overflow,
    Range,
)

MAX_RATE: Final = 1_000_000
MAX_REPLY_MS: Final = 365 * 24 * 3600 * 1000

_RATE: Final = re.compile(rf"([1-9][0-9]{{0,6}}) ?/ ?({'|'.join(UNITS)})\Z")
_COUNT: Final = re.compile(r"(0|[1-9][0-9]{0,9})\Z")


def kinds(names: Sequence[str]) -> tuple[str, ...]:
    """["inform", "request"], in the order of the protocol."""
    for name in names:
        if name not in SENDABLE:
            raise ValueError(
                f"{name!r} is no kind of message; there are: {', '.join(SENDABLE)}"
            )
    if not names:
        raise ValueError("name a kind of message at least, or leave it out")
    return tuple(kind for kind in SENDABLE if kind in names)


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """["secret", "pii"]: any of them."""
    if not names or not all(names):
        raise ValueError("name a label at least, or leave it out")
    return tuple(sorted(set(names)))


def count(text: str, low: int, high: int) -> int:
    """A whole number; without leading zeros, which YAML 1.1 takes for octal."""
    if _COUNT.match(text) and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"{text!r} is not a whole number from {low} to {high}")


def size_range(text: str) -> Range:
    """ "..64KiB", "4KiB.." or "4KiB..64KiB"."""
    low, dots, high = text.partition("..")
    if not dots or not (low or high):
        raise ValueError(f"{text!r} is not a range such as ..64KiB or 4KiB..64KiB")
    read = ipcbus.units.size_bytes
    return _range(read(low) if low else None, read(high) if high else None, text)


def priorities(text: str) -> Range:
    """ "5" alone, "5.." and above, "..3" and below, "3..5"."""
    low, dots, high = text.partition("..")
    if not (low or high):
        raise ValueError(f"{text!r} is not a priority such as 5, 5.., ..3 or 3..5")
    first = count(low, 0, PRIORITIES - 1) if low else None
    if not dots:
        return Range(first, first)
    return _range(first, count(high, 0, PRIORITIES - 1) if high else None, text)


def _range(low: int | None, high: int | None, text: str) -> Range:
    made = Range(low, high)
    if made.empty:
        raise ValueError(f"{text!r} holds nothing: it begins above its end")
    return made


def replies(text: str) -> tuple[int, int | None]:
    """ "5" answers, or "5/2h": 5 within two hours."""
    number, slash, within = text.partition("/")
    return answers(number), (reply_ms(within) if slash else None)


def answers(text: str) -> int:
    return count(text, 0, MAX_REPLIES)


def reply_ms(text: str) -> int:
    return _duration(text, 1000, MAX_REPLY_MS)


def hold_ms(text: str) -> int:
    return _duration(text, 1000, MAX_HOLD_MS)


def warn_ms(text: str) -> int:
    return _duration(text, 0, MAX_HOLD_MS)


def _duration(text: str, low: int, high: int) -> int:
    value = ipcbus.units.duration_ms(text)
    if low <= value <= high:
        return value
    show = ipcbus.units.show_duration
    raise ValueError(f"{text!r} is not a duration from {show(low)} to {show(high)}")


def max_bytes(text: str) -> int:
    return size(text, 1, MAX_BODY)


def size(text: str, low: int, high: int) -> int:
    value = ipcbus.units.size_bytes(text)
    if low <= value <= high:
        return value
    show = ipcbus.units.show_size
    raise ValueError(f"{text!r} is not a size from {show(low)} to {show(high)}")


def rate(text: str) -> Rate:
    """ "10/min"."""
    match = _RATE.match(text)
    if match is None or int(match[1]) > MAX_RATE:
        raise ValueError(
            f"{text!r} is not a rate such as 10/min (units: {', '.join(UNITS)})"
        )
    return Rate(int(match[1]), UNITS[match[2]])


def with_words(rate: Rate, per: Per = "rule", exceed: Exceed = "defer") -> Rate:
    """`rate` with what else was said of it."""
    return rate._replace(by=per, exceed=exceed)


def per(text: str) -> Per:
    return cast(Per, _one_of(text, get_args(Per)))


def exceeding(text: str) -> Exceed:
    return cast(Exceed, _one_of(text, get_args(Exceed)))


def overflow(text: str) -> Overflow:
    return cast(Overflow, _one_of(text, get_args(Overflow)))


def flag(text: str) -> bool:
    """true or false; not yes, no, on or off, which YAML 1.1 also takes."""
    return _one_of(text, ("true", "false")) == "true"


def prefix(text: str) -> str:
    """What stands before a topic: a topic itself, with room for one part more."""
    room = text.count(".") < MAX_TOPIC_PARTS - 1 and len(text) < MAX_TOPIC - 1
    if room and is_topic(text):
        return text
    raise ValueError(
        f"{text!r} is no prefix of topics: parts of letters, digits, '_' and '-' "
        f"joined by '.', {MAX_TOPIC_PARTS - 1} at most"
    )


def masks(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(check_mask(text) for text in texts)


def names(texts: Sequence[str]) -> tuple[str, ...]:
    """Of headers."""
    if all(texts):
        return tuple(texts)
    raise ValueError("a name of a header is empty")


def paths(texts: Sequence[str]) -> tuple[str, ...]:
    """Into data: "body.tokens"."""
    for text in texts:
        if not all(text.split(".")):
            raise ValueError(f"{text!r} is no path such as body.tokens")
    return tuple(texts)


def replacement(text: str) -> str:
    if len(text) <= MAX_REPLACEMENT:
        return text
    raise ValueError(f"{text!r} is longer than {MAX_REPLACEMENT} letters")


def _one_of(text: str, allowed: Sequence[str]) -> str:
    if text in allowed:
        return text
    raise ValueError(f"{text!r} is not {' or '.join(allowed)}")
