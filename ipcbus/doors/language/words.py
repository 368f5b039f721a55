"""A sentence as words, and how near two words are.

Words keep their place in the sentence, because the text to send is cut out of it as it
was typed. Only the first words are looked at: commands are short, texts may be long.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

MOST: Final = 48
"""Words that are looked at; the longest command has fewer."""

_OPEN: Final = "\"'`\u201c\u201d\u201e\u00ab\u2018\u2019"
_CLOSE: Final = "\"'`\u201c\u201d\u00bb\u2019"
_COLONS: Final = ":\uff1a"
_STOPS: Final = f"{_COLONS}.!?;\u2026"
_BREAK: Final = rf"\s{_COLONS},;!?\u2026\"\u201c\u201d\u201e\u00ab\u00bb`()"
_WORD: Final = re.compile(
    rf"[{_OPEN}](?P<quoted>[^{_BREAK}'\u2019]+)[{_CLOSE}](?![^{_BREAK}.])"
    rf"|(?P<plain>[^{_BREAK}]+)"
)
_TAIL: Final = ".'\u2018\u2019"
"""What ends a sentence or a quotation rather than a word."""


_PREFIXES: Final = frozenset({"un", "de", "re", "dis", "mis", "non"})
"""What makes another word of one, often its contrary: "unregister"."""


class Word(NamedTuple):
    """A word and what stands between it and the next one.

    Attributes:
        text: as typed, without quotes around it.
        low: folded, with straight apostrophes: for comparing.
        start, end: its place in the sentence, quotes included.
        after: marks and spaces up to the next word.
    """

    text: str
    low: str
    start: int
    end: int
    after: str

    @property
    def colon(self) -> bool:
        """Whether a colon follows."""
        return self.after.lstrip().startswith(tuple(_COLONS))

    @property
    def stop(self) -> bool:
        """Whether a sentence, or a part of it, ends here."""
        return any(mark in _STOPS for mark in self.after)


def words(sentence: str) -> list[Word]:
    """The first words of `sentence`."""
    found: list[tuple[str, int, int]] = []
    for match in _WORD.finditer(sentence):
        text = match["quoted"] or match["plain"].rstrip(_TAIL)
        if not text:
            continue
        cut = 0 if match["quoted"] else len(match["plain"]) - len(text)
        found.append((text, match.start(), match.end() - cut))
        if len(found) > MOST:
            break
    begins = [begin for _, begin, _ in found[1:]] + [len(sentence)]
    return [
        Word(text, folded(text), begin, end, sentence[end:following])
        for (text, begin, end), following in zip(found, begins, strict=False)
    ]


def folded(text: str) -> str:
    return text.lower().replace("\u2019", "'").replace("\u2018", "'")


def slips(typed: str, wanted: str) -> int | None:
    """Slips of the finger that make `typed` of `wanted`; None if it is another word.

    One slip in a word of four letters or more, two in one of eight or more; a short
    word is as it is, because every short word is near to many others.
    """
    if typed == wanted:
        return 0
    allowed = 0 if len(wanted) < 4 else 1 if len(wanted) < 8 else 2
    if not allowed or abs(len(typed) - len(wanted)) > allowed or not typed.isalpha():
        return None
    if typed.endswith(wanted) and typed[: -len(wanted)] in _PREFIXES:
        return None
    count = distance(typed, wanted)
    return count if count <= allowed else None


@lru_cache(4096)
def distance(one: str, other: str) -> int:
    """Letters to add, leave out, replace or swap with their neighbour.

    Optimal string alignment (Damerau 1964). Words only: the cost is their product.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(row[-1] + 1, before[j] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]
