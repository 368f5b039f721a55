"""What others say why something went wrong, before it is told on. PURE."""

from __future__ import annotations

from typing import Final

MOST_REASON: Final = 500
"""Letters of a reason that are told: what a broker takes, and people read."""

MOST_STATUS: Final = 16
"""The same of a status such as 5.1.1."""


def told(reason: str, most: int = MOST_REASON) -> str:
    """A reason, no longer than `most` letters and such that it can be written
    anywhere: a foreign end may hand on a name of a file that is no text."""
    return reason[:most].encode("utf-8", "backslashreplace").decode()[:most]
