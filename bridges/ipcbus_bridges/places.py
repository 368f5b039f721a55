"""Where a rule was written, and how to say what is wrong there. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

import ipcbus


class Wrong(ValueError):
    """A value that is not taken: the key that it is of, and the reason."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


class Place(NamedTuple):
    """A place in a file, or on the command line (line 0)."""

    file: str
    path: str = ""
    line: int = 0

    def of(self, key: str, line: int = 0) -> Place:
        path = f"{self.path}.{key}" if self.path else key
        return Place(self.file, path, line or self.line)

    def wrong(self, reason: str) -> ipcbus.IpcbusError:
        """To be raised: a `ConfigError`."""
        line = f"line {self.line}" if self.line else ""
        where = f"{self.path} ({line})" if self.path and line else self.path or line
        return ipcbus.errors.ConfigError(
            file=self.file, path=where or "the file", reason=reason, line=self.line
        )


def is_text(text: str) -> bool:
    """Whether it can be written anywhere: what a shell hands on need not be UTF-8."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def unknown(key: str, known: Iterable[str]) -> str:
    """The reason for refusing a key: with the nearest one, or with all there are."""
    names = list(known)
    near = get_close_matches(key, names, 1, 0.6)
    if near:
        return f"there is no key {key}; did you mean {near[0]}?"
    return f"there is no key {key} here; there are: {', '.join(names)}"
