"""Forms of sentences, and how a sentence is matched against one.

    tell {who} [that] {text}       words, [what may be left out], {slots}
    (check|read) [my] $mail        (one of these), $pieces that many forms share

A word of a form also matches a slip of the finger (`words.slips`), at a cost; a slot is
never mended. A form has matched when it and the sentence are both at their end, but
for words of politeness.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ipcbus.doors.language.words import Word, slips

Fields = tuple[tuple[str, Any], ...]


class Literal(NamedTuple):
    word: str


class Slot(NamedTuple):
    name: str


class Choice(NamedTuple):
    options: tuple[tuple[Element, ...], ...]


Element = Literal | Slot | Choice
Form = tuple[Element, ...]


class Sentence(NamedTuple):
    """What is matched.

    Attributes:
        strict: off to find out what was meant by a sentence that cannot be carried
            out: then any word passes for a name, and the text may be missing.
        real: words that are no slip of the finger for another.
    """

    raw: str
    words: list[Word]
    real: frozenset[str]
    strict: bool = True


class State(NamedTuple):
    """How far a match has come.

    Attributes:
        at: the next word; the text, once taken, leaves none.
        cost: slips mended so far.
        told: words of the form that were there: who says more is more exact.
        sure: a colon told where the text begins.
        mended: (typed, meant) of each slip.
    """

    at: int
    cost: int = 0
    told: int = 0
    sure: bool = False
    fields: Fields = ()
    mended: tuple[tuple[str, str], ...] = ()

    def taking(self, at: int, **fields: Any) -> State:
        """Further on, with these fields as well."""
        return self._replace(at=at, fields=(*self.fields, *fields.items()))


Filler = Callable[[Sentence, State], Iterator[State]]
"""What a slot can take at a place."""


# --- reading a form ------------------------------------------------------------

_PIECES: Final = r"\{\w+\}|[][()|{}]|[^][()|{}\s]+"


def compiled(text: str, shared: Mapping[str, str]) -> Form:
    """The form that `text` spells. Raises `ValueError` if it spells none."""
    while "$" in text:
        text = re.sub(r"\$(\w+)", lambda found: f"({shared[found[1]]})", text)
    pieces = re.findall(_PIECES, text)[::-1]
    [form] = _options(pieces, "") or [()]
    return form


def _options(pieces: list[str], end: str) -> list[Form]:
    """What stands between `|`s up to `end`."""
    options: list[Form] = []
    form: list[Element] = []
    while pieces:
        piece = pieces.pop()
        if piece == end:
            return [*options, tuple(form)]
        if piece == "|":
            options.append(tuple(form))
            form = []
        elif piece == "(":
            form.append(Choice(tuple(_options(pieces, ")"))))
        elif piece == "[":
            form.append(Choice((*_options(pieces, "]"), ())))
        elif piece.startswith("{") and piece.endswith("}"):
            form.append(Slot(piece[1:-1]))
        elif piece in (")", "]", "{", "}"):
            raise ValueError(f"{piece} is too much")
        else:
            form.append(Literal(piece))
    if end:
        raise ValueError(f"{end} is missing")
    return [*options, tuple(form)]


def literals(form: Form) -> Iterator[str]:
    """All words that stand in `form`."""
    for element in form:
        if isinstance(element, Literal):
            yield element.word
        elif isinstance(element, Choice):
            for option in element.options:
                yield from literals(option)


# --- matching --------------------------------------------------------------------


def matches(
    form: Form, sentence: Sentence, state: State, fillers: Mapping[str, Filler]
) -> Iterator[State]:
    """Each way in which `form` fits the words from `state.at` on."""
    if not form:
        yield state
        return
    first, rest = form[0], form[1:]
    if isinstance(first, Choice):
        for option in first.options:
            yield from matches((*option, *rest), sentence, state, fillers)
        return
    if isinstance(first, Slot):
        steps = fillers[first.name](sentence, state)
    else:
        steps = _literal(first.word, sentence, state)
    for step in steps:
        yield from matches(rest, sentence, step, fillers)


def goes_on(sentence: Sentence, state: State) -> Word | None:
    """The next word, if no colon or full stop parts it from what was matched."""
    if state.at >= len(sentence.words):
        return None
    begun = state.told or state.fields
    if begun and state.at and sentence.words[state.at - 1].stop:
        return None
    return sentence.words[state.at]


def _literal(wanted: str, sentence: Sentence, state: State) -> Iterator[State]:
    word = goes_on(sentence, state)
    if word is None:
        return
    if word.low == wanted:
        yield state._replace(at=state.at + 1, told=state.told + 1)
        return
    count = None if word.low in sentence.real else slips(word.low, wanted)
    if count is not None:
        yield state._replace(
            at=state.at + 1,
            told=state.told + 1,
            cost=state.cost + count,
            mended=(*state.mended, (word.text, wanted)),
        )
