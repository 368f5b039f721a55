"""How far long work has come: one line on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys

from ipcbus.doors.text import safe_line, size


class Progress:
    """Called with bytes done and bytes in all. Says nothing of what is small."""

    def __init__(self, what: str) -> None:
        self._what = safe_line(what)
        self._shown = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        if self._shown and total > SMALL:
            end = "\n" if done >= total else ""
            text = f"\r{self._what}: {size(done)} of {size(total)} {end}"
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201


SMALL = 1024 * 1024
"""Bytes that are there before anyone could read a line about them."""
