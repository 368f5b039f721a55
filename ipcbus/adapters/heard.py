"""Messages out of the frame that a model is shown them in. Pure.

Adapters without a model behind them look at what a peer wrote, not at the head above
it. The frame is that of `prompt.framed`: a head in square brackets, written by the
bus, and behind bars what the sender wrote. A line that a sender wrote always has a bar
before it, so none of them can pass for a head.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

BAR: Final = "| "

_HEAD: Final = re.compile(r"\[([^\s()]+) \([^()]*\), .*\bid \S+\]")


class Heard(NamedTuple):
    """What somebody wrote. `sender` is empty for text that was in no frame."""

    sender: str
    text: str


def heard(text: str) -> list[Heard]:
    """The messages in `text`, in order; all of it as one if it has no frame."""
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        head = _HEAD.fullmatch(line)
        if head is not None:
            found.append((head[1], []))
        elif found and line.startswith(BAR):
            found[-1][1].append(line.removeprefix(BAR))
    return [Heard(sender, "\n".join(lines)) for sender, lines in found] or [
        Heard("", text)
    ]
