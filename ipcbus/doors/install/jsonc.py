"""JSON with comments, read so that each value is known by where it stands. Pure.

The settings of Claude Code and Gemini CLI are JSON in which people write `//` and
`/* */` comments and leave a comma after the last entry. What is read here is never
written back: `surgery` cuts and inserts text at the places found here, so all else
stays byte for byte. A key that stands twice in one object is refused, because readers
differ on which of the two counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

MAX_DEPTH: Final = 100
"""Containers within each other. Settings have about six."""

BOM: Final = "\ufeff"

Path = tuple[str | int, ...]

_TRIVIA: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"', re.ASCII
)
_PLAIN: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])|(?:true|false|null)\b"
)


class Unreadable(ValueError):
    """The text is not what it should be; `line` and `column` count from one."""

    def __init__(self, text: str, at: int, reason: str) -> None:
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        self.reason = reason
        super().__init__(f"line {self.line}, column {self.column}: {reason}")


class Value(NamedTuple):
    """A value and its place: `text[start:end]`.

    Attributes:
        opening: `{` or `[` of a container, else empty.
        children: what a container holds.
    """

    start: int
    end: int
    opening: str
    children: tuple[Child, ...]


class Child(NamedTuple):
    """A member of an object, or an item of an array.

    Attributes:
        key: None in an array.
        start: where the key begins, or the value if there is none.
        comma: where the comma after it stands; None after a last one without.
    """

    key: str | None
    start: int
    value: Value
    comma: int | None

    @property
    def end(self) -> int:
        return self.value.end


@lru_cache(maxsize=8)
def parse(text: str) -> Value:
    """The one value in `text`. Raises `Unreadable`.

    Remembered, for each small step of a change asks again, and a file has megabytes.
    """
    at = trivia(text, 1 if text.startswith(BOM) else 0)
    value = _value(text, at, 0)
    end = trivia(text, value.end)
    if end != len(text):
        raise Unreadable(text, end, "expected the end of the file")
    return value


def python(text: str, value: Value) -> Any:
    """`value` as `json.loads` would give it. Raises `Unreadable` for a number that has
    more digits than Python reads."""
    if value.opening == "{":
        return {child.key: python(text, child.value) for child in value.children}
    if value.opening == "[":
        return [python(text, child.value) for child in value.children]
    try:
        return json.loads(text[value.start : value.end])
    except ValueError as error:
        raise Unreadable(text, value.start, "this number is too long") from error


def find(value: Value, path: Path) -> Value | None:
    """The value to which keys of objects and indices of arrays lead."""
    for step in path:
        child = child_at(value, step)
        if child is None:
            return None
        value = child.value
    return value


def child_at(value: Value, step: str | int) -> Child | None:
    if isinstance(step, int):
        is_there = value.opening == "[" and step < len(value.children)
        return value.children[step] if is_there else None
    return next((child for child in value.children if child.key == step), None)


def trivia(text: str, at: int) -> int:
    """Where the white space and comments that begin at `at` end."""
    found = _TRIVIA.match(text, at)
    assert found is not None  # it matches the empty text
    if text.startswith("/*", found.end()):
        raise Unreadable(text, found.end(), "this comment has no end")
    return found.end()


def _value(text: str, at: int, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise Unreadable(text, at, f"more than {MAX_DEPTH} levels deep")
    opening = text[at : at + 1]
    if opening in ("{", "["):
        children = tuple(_children(text, at, depth))
        last = children[-1] if children else None
        inner = at + 1 if last is None else (last.comma or last.end - 1) + 1
        return Value(at, trivia(text, inner) + 1, opening, children)
    found = (_STRING if opening == '"' else _PLAIN).match(text, at)
    if found is None:
        raise Unreadable(text, at, _expected(text, at))
    return Value(at, found.end(), "", ())


def _children(text: str, start: int, depth: int) -> Iterator[Child]:
    """What stands in the container that opens at `start`."""
    is_object, closing = text[start] == "{", "}" if text[start] == "{" else "]"
    seen: set[str] = set()
    at = trivia(text, start + 1)
    while text[at : at + 1] != closing:
        key, where = _key(text, at, seen) if is_object else (None, at)
        value = _value(text, where, depth + 1)
        after = trivia(text, value.end)
        has_comma = text[after : after + 1] == ","
        if not has_comma and text[after : after + 1] != closing:
            raise Unreadable(text, after, f"expected a comma or {closing!r}")
        yield Child(key, at, value, after if has_comma else None)
        at = trivia(text, after + 1) if has_comma else after


def _key(text: str, at: int, seen: set[str]) -> tuple[str, int]:
    """A key, and where its value begins."""
    found = _STRING.match(text, at)
    if found is None:
        raise Unreadable(text, at, "expected a key in double quotes")
    key: str = json.loads(found[0])
    if key in seen:
        raise Unreadable(text, at, f"the key {found[0]} stands here a second time")
    seen.add(key)
    colon = trivia(text, found.end())
    if text[colon : colon + 1] != ":":
        raise Unreadable(text, colon, "expected a colon")
    return key, trivia(text, colon + 1)


def _expected(text: str, at: int) -> str:
    if text[at : at + 1] == '"':
        return "this string is not closed, or has a character that must be escaped"
    return "expected a value" if at < len(text) else "the file ends too early"
