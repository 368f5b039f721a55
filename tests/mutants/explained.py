"""Survivors that no test can kill, each with its reason: `explained.toml`.

One is known by its file, its function and its line before and after, so that it is
found again when the lines around it move. Without `after` all mutants of the line are
meant.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

KEPT: Final = Path(__file__).with_name("explained.toml")


class Explained(NamedTuple):
    file: str
    function: str
    before: str
    after: str | None
    why: str

    def covers(self, file: str, function: str, before: str, after: str) -> bool:
        same = (self.file, self.function, self.before) == (file, function, before)
        return same and self.after in (None, after)


def read(path: Path = KEPT) -> list[Explained]:
    """All of a file, in which mutants of one file stand below its name."""
    said = tomllib.loads(path.read_text())
    return [
        Explained(file, row["in"], row["line"], row.get("as"), row["why"])
        for file, rows in said.items()
        for row in rows
    ]


def find(
    known: Iterable[Explained], file: str, function: str, before: str, after: str
) -> Explained | None:
    hits = (one for one in known if one.covers(file, function, before, after))
    return next(hits, None)
