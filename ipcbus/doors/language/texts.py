"""The text of a form, cut out of the sentence as it was typed; and times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from ipcbus.doors.language.lists import NO_NAMES, NO_TEXT, NUMBERS, UNITS
from ipcbus.doors.language.pattern import Sentence, State, goes_on
from ipcbus.doors.language.words import slips
from ipcbus.errors import InvalidAddress
from ipcbus.protocol.address import parse

TAKEN: Final = 1 << 30
"""Where a match is when the text was taken: behind every word."""

_BLANK: Final = r"[^\S\r\n]"
_GAP: Final = re.compile(
    rf"{_BLANK}*(?:(?P<colon>[:\uff1a])|,(?=\s)|(?:--?|[\u2013\u2014])(?=\s)|(?=\s))"
    rf"{_BLANK}*(?:\r?\n)?"
)
"""What parts a command from its text. Nothing else of the text is left out: the blanks
of a line break are kept, because the text may be code."""

_TO: Final = re.compile(r"(?:\s|\A)to(?=\s)", re.IGNORECASE)
_ALL: Final = frozenset({"everyone", "everybody"})


def text(sentence: Sentence, state: State) -> Iterator[State]:
    """All the rest, as it was typed."""
    end = sentence.words[state.at - 1].end if state.at else 0
    gap = _GAP.match(sentence.raw, end)
    if gap is None:
        if not sentence.strict and not sentence.raw[end:].strip(" .?!"):
            yield state.taking(TAKEN, text="")
        return
    rest = sentence.raw[gap.end() :]
    if rest.strip() or not sentence.strict:
        sure = state.sure or gap["colon"] is not None
        yield state.taking(TAKEN, text=rest)._replace(sure=sure)


def colon(sentence: Sentence, state: State) -> Iterator[State]:
    """Nothing, but only where a colon stands: "answer: yes", not "answer the phone"."""
    if sentence.words[state.at - 1].colon:
        yield state


def said(sentence: Sentence, state: State) -> Iterator[State]:
    """As `text`, but not "to ..." without a colon: there the receiver may follow."""
    word = sentence.words[state.at] if state.at < len(sentence.words) else None
    for after in text(sentence, state):
        if after.sure or word is None or word.low != "to":
            yield after


def text_to(sentence: Sentence, state: State) -> Iterator[State]:
    """ "the build is green to bob": text first, and its receiver last.

    Not if there are several "to": any of them may be the one.
    """
    verb = sentence.words[state.at - 1]
    if verb.colon or state.at >= len(sentence.words):
        return
    raw = sentence.raw[verb.end :].strip().rstrip(" .!?\t\r\n")
    places = list(islice(_TO.finditer(raw), 2))
    if len(places) != 1:
        return
    said = raw[: places[0].start()].rstrip()
    address = raw[places[0].end() :].strip().removeprefix("@")
    says_nothing = all(map(_says_nothing, said.lower().split()))
    if says_nothing or address.lower() in NO_NAMES - _ALL:
        return
    if address.lower() in _ALL:
        address = "*"
    try:
        parse(address)
    except InvalidAddress:
        return
    yield state.taking(TAKEN, text=said, to=address)


def _says_nothing(word: str) -> bool:
    """ "Send a mesage to bob": that is no text, also when it is misspelt."""
    return word in NO_TEXT or any(
        slips(word, wrong) for wrong in ("message", "messages")
    )


# --- times -------------------------------------------------------------------

_TIME: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)[- ]?([a-z]*)")


def minutes(sentence: Sentence, state: State) -> Iterator[State]:
    """ "5", "5 minutes", "ten min", "90s", "hour" after "every"; minutes if no unit."""
    yield from _time(sentence, state, default=60)


def time(sentence: Sentence, state: State) -> Iterator[State]:
    """The same, with its unit."""
    yield from _time(sentence, state, default=None)


def _time(sentence: Sentence, state: State, default: int | None) -> Iterator[State]:
    word = goes_on(sentence, state)
    if word is None:
        return
    low = word.low.rstrip("-")
    following = None if word.stop else sentence.words[state.at + 1 : state.at + 2]
    unit = following[0].low if following else ""
    found = _TIME.fullmatch(low)
    if low in UNITS and len(low) > 2:
        yield state.taking(state.at + 1, seconds=float(UNITS[low]))
        return
    number = float(found[1]) if found else NUMBERS.get(low)
    if number is None:
        return
    if found and found[2]:
        if found[2] in UNITS:
            total = number * UNITS[found[2]]
            yield state.taking(state.at + 1, seconds=total)
    elif unit in UNITS:
        yield state.taking(state.at + 2, seconds=number * UNITS[unit])
    elif low == "half" and unit == "an":
        yield state.taking(state.at + 3, seconds=1800.0)
    elif default is not None and found:
        yield state.taking(state.at + 1, seconds=number * default)
