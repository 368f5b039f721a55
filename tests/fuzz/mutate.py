"""Inputs made of others by chance, all of it from one seed.

Bytes are flipped, cut, repeated and put in from other inputs, as everywhere. Beside
that there are changes that keep an input nearly whole, which get further into a parser:
a value of msgpack for another one, a word or a line twice or elsewhere, and pieces that
have been trouble to parsers before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgpack import packb, unpackb

MOST: Final = 8192
"""Bytes of an input: longer ones find little that is new, and cost time."""

PIECES: Final = (
    *(b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\t"),
    *(b"9" * 400, b"9" * 5000, b"1e999", b"-0", b"NaN", b"0x1", b"\xd9\xa3"),
    *(b"\\ud800", b"\\UFFFFFFFF", b"\\u0000", b"\xf0\x9f\x92\xa9", b"\xe2\x80\xa8"),
    *(b"[" * 1500, b"{" * 120, b'{"a":' * 120, b"- " * 200, b"(" * 50, b'"', b"'''"),
    *(b"*", b"**", b"#", b"@", b"->", b"<->", b"=", b".", b"..", b"%YAML 1.1\n---\n"),
    *(b"&a ", b"*a", b"!!int ", b"!!binary ", b"<<: ", b"? ", b"| ", b"> ", b"---\n"),
    *(b"null", b"true", b"//", b"/*", b"*/", b"#\n", b"[[a]]\n", b"0001-01-01"),
    *(b"\x91" * 600, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc7\0\xff"),
    *(b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xcb\x7f\xf8" + b"\0" * 6),
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 127, 2**31, 2**53, 2**63, 2**64 - 1, -(2**63)),
    *(1.5, float("nan"), float("inf"), "", "x", "x" * 300, "\0", "é", b"", b"\xff"),
    *([], {}, [[]], [None] * 20, {"a": 1}, {b"": None}, [1, 5, 1], ["a", "b"]),
)
_WORDS: Final = re.compile(rb"[A-Za-z0-9_]+|\s+|[^A-Za-z0-9_\s]")

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    """One of `pool`, changed one to four times."""
    data = chance.choice(pool)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        data = chance.choice(_CHANGES)(chance, data, pool)
    return data[:MOST]


def _flip(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    found = bytearray(data or b"\0")
    found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def _set(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    found = bytearray(data or b"\0")
    found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def _cut(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    start, end = _range(chance, data)
    return data[:start] + data[end:] if chance.random() < 0.7 else data[:start]


def _repeat(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    start, end = _range(chance, data)
    times = chance.choice((1, 1, 2, 30))
    return data[:end] + data[start:end] * times + data[end:]


def _splice(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    other = chance.choice(pool)
    start, end = _range(chance, other)
    at = chance.randrange(len(data) + 1)
    rest = data[at:] if chance.random() < 0.7 else b""
    return data[:at] + other[start:end] + rest


def _piece(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    start, end = _range(chance, data)
    kept = end if chance.random() < 0.3 else start
    return data[:start] + chance.choice(PIECES) + data[kept:]


def _word(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """Words left out, exchanged, twice, or from elsewhere."""
    words = _WORDS.findall(data)
    if not words:
        return data
    at, other = chance.randrange(len(words)), chance.randrange(len(words))
    match chance.randrange(5):
        case 0:
            del words[at]
        case 1:
            words[at], words[other] = words[other], words[at]
        case 2:
            words[at] = words[other]
        case 3:
            words[at] = chance.choice(PIECES)
        case _:
            words[at] = chance.choice(_WORDS.findall(chance.choice(pool)) or [b""])
    return b"".join(words)


def _line(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    others = chance.choice(pool).splitlines(keepends=True)
    if not lines or not others:
        return data
    lines.insert(chance.randrange(len(lines) + 1), chance.choice([*lines, *others]))
    return b"".join(lines)


def _value(chance: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """Another value in msgpack, with or without a length of two bytes in front."""
    for head, packed, tail in _msgpack(data):
        try:
            value = unpackb(packed, strict_map_key=False)
        except (ValueError, TypeError, RecursionError):
            continue
        try:
            other: bytes = packb(_exchanged(chance, value))
        except (ValueError, TypeError, OverflowError):
            return data
        return (len(other).to_bytes(2, "big") if head else b"") + other + tail
    return _set(chance, data, pool)


def _msgpack(data: bytes) -> list[tuple[bool, bytes, bytes]]:
    size = int.from_bytes(data[:2], "big")
    return [(True, data[2 : 2 + size], data[2 + size :]), (False, data, b"")]


def _exchanged(chance: random.Random, value: Any) -> Any:
    """`value` with one of what it holds, at any depth, for another."""
    if isinstance(value, list) and value and chance.random() < 0.85:
        found = list(value)
        at = chance.randrange(len(found))
        match chance.randrange(8):
            case 0:
                del found[at]
            case 1:
                found.insert(at, found[at])
            case _:
                found[at] = _exchanged(chance, found[at])
        return found
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        return {**value, key: _exchanged(chance, value[key])}
    if isinstance(value, bytes) and value and chance.random() < 0.7:
        return _value(chance, value, (value,))  # a meta within a header
    return chance.choice(_VALUES)


def _range(chance: random.Random, data: bytes) -> tuple[int, int]:
    """A place, and one after it: mostly near."""
    start = chance.randrange(len(data) + 1)
    most = chance.choice((1, 4, 16, len(data)))
    return start, min(len(data), start + chance.randint(0, most))


_CHANGES: Final[tuple[Change, ...]] = (
    *(_flip, _set, _cut, _repeat, _splice, _piece, _word, _word, _line, _value, _value),
)
