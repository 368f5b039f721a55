"""Where one JSON object ends, in bytes that come in pieces. PURE.

The old protocol has no framing: who reads must find out when a request is whole. Each
piece is looked at once, by functions that are written in C: strings are taken out of
it, and what is left tells by its brackets how deep it is. So a request of a mebibyte
costs some milliseconds; one that has more in it than any message has is refused before
it costs more, because nobody else is served meanwhile.

What stands behind the object, and whether it is one, is for who reads it to say.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

from ipcbus_bridges.claude_ipc.limits import DEFAULTS

MAX_DEPTH: Final = 64
"""Nesting. Python's own reader fails, by recursion, at about a thousand."""

MAX_MARKS: Final = 50_000
"""Brackets, commas and strings: 5 ms of work for who reads them. Few have dozens."""

_SPACE: Final = b" \t\r\n"
_INSIDE: Final = rb'(?:[^"\\]++|\\.)*+'
_STRING: Final = re.compile(rb'"' + _INSIDE + rb'"', re.DOTALL)
_REST: Final = re.compile(_INSIDE, re.DOTALL)
_OTHERS: Final = bytes(letter for letter in range(256) if letter not in b"{}[]")
_STEPS: Final = bytes.maketrans(b"{[}]", b"\x01\x01\0\0")


class BadRequest(ValueError):
    """What the other side is told; nothing was done."""


class Framing:
    """Bytes of one connection, until its object is whole; at most `most`.

    Attributes:
        data: what has come so far, without space in front.
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_marks", "_most", "data")

    def __init__(self, most: int = DEFAULTS.request_size) -> None:
        self.data = bytearray()
        self._most = most
        self._depth = 0
        self._marks = 0
        self._in_string = False
        self._escaped = False

    def feed(self, piece: bytes) -> bool:
        """Whether the object is whole now.

        Raises `BadRequest` for what will never be one.
        """
        if not self.data:
            piece = piece.lstrip(_SPACE)
            if piece and piece[:1] != b"{":
                raise BadRequest("Bad request: send one JSON object")
        self.data += piece
        if len(self.data) > self._most:
            raise BadRequest(f"Request too large: at most {self._most} bytes")
        return self._measure(self._without_strings(piece))

    def _without_strings(self, piece: bytes) -> bytes:
        """What of a piece stands outside of strings."""
        if self._in_string:
            piece = piece[self._end_of_string(piece) :]
            if self._in_string:
                return b""
        # A quote behind it closes the string that it ends in, or stays alone. Without,
        # each quote in the rest of a string would be tried as its beginning.
        body = piece.rstrip(b"\\")
        left, count = _STRING.subn(b"", body + b'"')
        self._marks += count
        if left[-1:] == b'"':
            return left[:-1]
        self._in_string = True
        self._escaped = (len(piece) - len(body)) % 2 == 1
        return left

    def _end_of_string(self, piece: bytes) -> int:
        """The place behind the string that a piece begins in, or behind what there is
        of it."""
        begin = int(self._escaped and bool(piece))
        self._escaped = self._escaped and not piece
        found = _REST.match(piece, begin)
        assert found is not None  # it matches nothing, too
        end = found.end()
        if end < len(piece):
            # What stops the pattern is the end of the string, or a last backslash.
            self._in_string = piece[end : end + 1] != b'"'
            self._escaped = self._in_string
        return end + 1

    def _measure(self, left: bytes) -> bool:
        """Whether the object ends here."""
        brackets = left.translate(None, _OTHERS)
        self._marks += len(brackets) + left.count(b",")
        if self._marks > MAX_MARKS:
            raise BadRequest("Bad request: too many values")
        if not brackets:
            return False
        steps = brackets.translate(_STEPS)
        depths = list(accumulate((2 * step - 1 for step in steps), initial=self._depth))
        if max(depths) > MAX_DEPTH:
            raise BadRequest(f"Bad request: deeper than {MAX_DEPTH} levels")
        self._depth = depths[-1]
        return 0 in depths[1:]
