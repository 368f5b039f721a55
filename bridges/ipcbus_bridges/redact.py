"""Taking out of a message what shall not leave its network. PURE, and it cannot fail.

A mask is literal text in which `*` stands for a run of characters that are no white
space: `AKIA*` hides a key to its end, `token=*;` up to the next semicolon. It begins
with three letters of literal text at least. Regular expressions are not taken: for
some the time to find that a text lacks them grows with its square, or worse. This here
reads a text once, however it was made.

The same message always becomes the same, so one that is handed over twice is still one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

REPLACEMENT: Final = "[redacted]"
MIN_LITERAL: Final = 3
MAX_MASK: Final = 128
MAX_REPLACEMENT: Final = 64

MAX_BODY: Final = 1024 * 1024
"""Of the protocol; a test compares it."""
MAX_META: Final = 32 * 1024
"""Bytes of data and headers to which replacements may make them grow: with their
packing they still fit in what the protocol allows."""

_SPACE: Final = re.compile(r"\s")
SHORT: Final = "*"
"""Where the chosen replacement would make a message too large for the protocol; it is
shorter than all that a mask can hide."""


class Redact(NamedTuple):
    """What to take out.

    Attributes:
        mask: patterns, see above; they are looked for in the body, and in the texts
            of data and headers.
        headers: names of headers to leave out.
        data: paths of data to leave out, parts joined by dots; a list on the way
            is gone through.
        replacement: what stands in the place of what a mask hid.
    """

    mask: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    replacement: str = REPLACEMENT


class Redacted(NamedTuple):
    """A message without it; `changed` tells whether there was any."""

    body: bytes
    data: Any
    headers: dict[str, str]
    changed: bool


def check_mask(text: str) -> str:
    """`text`, if it can be a mask. Raises `ValueError`."""
    literal = text.partition("*")[0]
    if len(literal.strip()) < MIN_LITERAL or len(text) > MAX_MASK:
        raise ValueError(
            f"{text!r} is no mask: it begins with {MIN_LITERAL} letters or more of "
            f"literal text, and has at most {MAX_MASK}; '*' is a run without spaces"
        )
    return text


def apply(
    redact: Redact, body: bytes, data: Any, headers: Mapping[str, str]
) -> Redacted:
    """The message without what `redact` names. A body that is no UTF-8 text stays."""
    unwanted = {name.lower() for name in redact.headers}
    kept = {name: v for name, v in headers.items() if name.lower() not in unwanted}
    left = data
    for path in redact.data:
        left = _without(left, path.split("."))
    made = _masked(redact.mask, redact.replacement, body, left, kept)
    if len(made.body) > MAX_BODY or _length(made) > MAX_META:
        made = _masked(redact.mask, SHORT, body, left, kept)
    changed = (made.body, made.data, made.headers) != (body, data, dict(headers))
    return made._replace(changed=changed)


def _masked(
    masks: tuple[str, ...], by: str, body: bytes, data: Any, headers: dict[str, str]
) -> Redacted:
    if not masks:
        return Redacted(body, data, headers, False)

    def hide(text: str) -> str:
        for mask in masks:
            text = _hide(mask, by, text)
        return text

    with suppress(UnicodeDecodeError):
        body = hide(body.decode()).encode()
    headers = {name: hide(value) for name, value in headers.items()}
    return Redacted(body, _texts(hide, data), headers, False)


class _Runs:
    """Where the run of non-spaces ends in which a place lies."""

    def __init__(self, text: str) -> None:
        self._text, self._begin, self._end = text, 0, -1

    def end(self, at: int) -> int:
        if not self._begin <= at <= self._end:
            space = _SPACE.search(self._text, at)
            self._begin, self._end = at, space.start() if space else len(self._text)
        return self._end


def _hide(mask: str, by: str, text: str) -> str:
    """`text` with each place that `mask` matches replaced, the leftmost first."""
    first, *pieces = re.sub(r"\*+", "*", mask).split("*")
    runs, kept, done = _Runs(text), list[str](), 0
    start = text.find(first)
    while start >= 0:
        after = start + len(first)
        end = _end(pieces, text, after, runs)
        if end >= 0:
            kept += (text[done:start], by)
            done = begin = end
        else:
            # What fails here fails from every later place of the same run.
            begin = runs.end(after) + 1 - len(first)
        start = text.find(first, begin)
    return "".join([*kept, text[done:]])


def _end(pieces: list[str], text: str, at: int, runs: _Runs) -> int:
    """Where a match ends whose literal beginning ended at `at`; -1 if none does."""
    for piece in pieces:
        run = runs.end(at)
        if not piece:  # the mask ends in `*`
            return run
        # The gap has no white space, but the piece behind it may.
        found = text.find(piece, at, run + len(piece))
        if found < 0:
            return -1
        at = found + len(piece)
    return at


def _without(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_without(item, path) for item in value]
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    first, *rest = path
    return {
        key: _without(item, rest) if key == first else item
        for key, item in value.items()
        if rest or key != first
    }


def _texts(hide: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, list):
        return [_texts(hide, item) for item in value]
    if isinstance(value, Mapping):
        return {key: _texts(hide, item) for key, item in value.items()}
    return value


def _length(made: Redacted) -> int:
    def count(value: Any) -> int:
        if isinstance(value, str):
            return len(value.encode("utf-8", "surrogatepass"))
        if isinstance(value, Mapping):
            return sum(count(key) + count(item) for key, item in value.items())
        return sum(map(count, value)) if isinstance(value, list) else 0

    return count(made.data) + count(made.headers)
