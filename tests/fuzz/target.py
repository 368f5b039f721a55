"""What is fuzzed: a parser, the errors that it may raise, and inputs that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Target(NamedTuple):
    """One parser.

    Attributes:
        feed: gives bytes to the real parser, and holds what came out against it.
        declared: the errors that the parser's docstring names; any other is a find.
        seeds: valid inputs, from the real encoders where there are such.
    """

    name: str
    feed: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]

    def run(self, data: bytes) -> str:
        """What became of `data`, in a word: like inputs have like words. Raises what
        was not declared."""
        try:
            self.feed(data)
        except self.declared as error:
            return f"{type(error).__name__} {_plain(str(error))}"
        return "taken"


class Broken(Exception):
    """What was read is not what is written again. No parser declares it."""


def same(what: str, one: object, two: object) -> None:
    # By repr, for a NaN is not the same as itself.
    if one != two and repr(one) != repr(two):
        raise Broken(f"{what}: {one!r} became {two!r}")


def again(what: str, read: Callable[[], object]) -> object:
    """A reading of what was just written, so no error is allowed here."""
    try:
        return read()
    except Exception as error:
        raise Broken(f"{what} is refused: {error!r}") from error


def text(data: bytes) -> str:
    """As arguments of a command come: bytes that are not UTF-8 are in them, too."""
    return data.decode("utf-8", "surrogateescape")


def texts(*lines: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [line.encode() for line in lines]


def documents(*values: object) -> Callable[[], Sequence[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


def _plain(message: str) -> str:
    """Without what the input put into it."""
    return "".join(c for c in message[-60:] if c.isalpha() and c.isascii())
