"""What would change, for people to read. Pure.

The line before our entry changes too (it gets a comma), and settings hold tokens and
passwords. So values that look like secrets are not shown, and a line that is a whole
file is cut: this is for reading, not for `patch`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

MAX_LINE: Final = 300
"""Characters of a line that are shown; ours have half as many."""

_SECRET: Final = re.compile(
    r"""(["']?[\w.-]*(?:key|token|secret|passw|auth|credential|cookie)[\w.-]*["']?"""
    r"""\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*')""",
    re.IGNORECASE,
)


def unified(path: str, old: str, new: str) -> Iterator[str]:
    """The lines of a unified diff; none if nothing changes."""
    pieces = difflib.unified_diff(
        old.splitlines(), new.splitlines(), path, path, lineterm=""
    )
    for piece in pieces:
        line = _SECRET.sub(r'\1"(not shown)"', piece)
        rest = len(line) - MAX_LINE
        yield line if rest <= 0 else f"{line[:MAX_LINE]} ... {rest} more characters"
