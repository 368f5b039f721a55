"""Text of peers, made harmless, and figures for people. Pure.

What peers wrote is data. A terminal obeys control characters and a model reads letters
that no person sees, so none of theirs ever reaches one: `safe` shows them as escapes.
So are the characters that turn text around or hide it, which deceive readers (people
by bidi controls, models by tags).
"""

from __future__ import annotations

import re
from typing import Final

LONG: Final = 10 * 1024
"""Bytes of a body above which a door shows only its beginning."""

_SENTENCES: Final = r"(?s)(?:.*?[.!?](?:\s|\Z)){1,2}"
_GLIMPSE: Final = 400

_HIDDEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
"""What Unicode has no sight of (Default_Ignorable_Code_Point), half letters, and ends
of lines that are no line feed. Not what joins letters (U+200C, U+200D) and chooses
the look of an emoji (U+FE0E, U+FE0F): texts of honest people are full of it."""
# Not compiled here: that takes a millisecond, and JSON never needs them.
_UNSAFE: Final = rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_HIDDEN}]"
_UNSAFE_IN_LINE: Final = rf"[\x00-\x1f\x7f-\x9f{_HIDDEN}]"


def safe(text: str) -> str:
    """`text` with all but line ends and tabs of its control characters escaped."""
    return re.sub(_UNSAFE, _escape, text)


def safe_line(text: str) -> str:
    """The same for text that has to stay on one line."""
    return re.sub(_UNSAFE_IN_LINE, _escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode()


def age(seconds: float) -> str:
    """How long ago, in the largest unit that says something."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def size(count: int) -> str:
    """Bytes, rounded for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def beginning(text: str) -> str:
    """The first two sentences, within bounds."""
    found = re.match(_SENTENCES, text[:_GLIMPSE])
    return (found[0] if found else text[:_GLIMPSE]).strip()
