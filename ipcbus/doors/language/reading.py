"""`parse`: from a sentence to what it means, or why that is not sure.

    words -> what may be left out before it -> each form that fits -> the best of them

Of the forms that fit, those with the fewest slips count; of these, those where a colon
told where the text begins, if there are any; of these, the one that says most. If two
meanings are left then, or a form that takes its text first fits too, it is not sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ipcbus.doors.language import doubts
from ipcbus.doors.language.forms import Entry, entries, real_words
from ipcbus.doors.language.intents import Intent, Unsure
from ipcbus.doors.language.leftout import leaves_out
from ipcbus.doors.language.lists import (
    LEAD_INS,
    NO_NAMES,
    NO_TEXT,
    QUESTION_LEAD_INS,
    TRAILS,
)
from ipcbus.doors.language.pattern import Sentence, State, matches
from ipcbus.doors.language.slots import FILLERS
from ipcbus.doors.language.words import Word, words

SHORTEST_S: Final = 10.0
LONGEST_S: Final = 86_400.0
"""What auto checking can be set to. Less than 10 s is every time; a day is never."""

_QUOTED: Final = re.compile(
    r"\s*(?:\"([^\"]*)\"|\u201c([^\u201c\u201d]*)\u201d|`([^`]*)`)\s*\Z", re.DOTALL
)
_NAMED: Final = re.compile(r"\s*@?([A-Za-z0-9][\w.@-]*)\s*:")
_SNAKE: Final = re.compile(r"\s*[a-z]+(?:_[a-z]+)+\s*\Z", re.IGNORECASE)
"""`check_messages`: what tools are called, and no sentence with a text."""
_CONDITION: Final = re.compile(
    r"(?:when(?:ever)?|if|once|unless|until|after|before|as soon as|later"
    r"|(?:in|at|every) [0-9]+)\b",
    re.IGNORECASE,
)
_COMMANDS: Final = re.compile(
    r"\b(?:and|then|also)\s+(?:then\s+)?(?:(?:tell|msg|message|ask|send|broadcast"
    r"|forward|register|rename|reply)\s+(?!me\b|us\b|you\b)\S|check\s+(?:my|for|messages|mail))",
    re.IGNORECASE,
)
"""What turns one text into "... and tell alice ...": several commands."""
_EMPTY: Final = NO_TEXT | {"saying", "about", "to", "with", "please", "soon", "asap"}
"""Words that leave a text empty, unless a colon told that they are the text."""


class Found(NamedTuple):
    """A form that fits."""

    intent: Intent
    state: State
    weak: bool


def parse(sentence: str) -> Intent | Unsure:
    """What `sentence` asks for. Never raises, whatever is handed in."""
    quoted = _QUOTED.match(sentence)
    raw = next(filter(None, quoted.groups()), "") if quoted else sentence
    if _SNAKE.match(raw):
        raw = raw.replace("_", " ")
    heard = Sentence(raw, words(raw), real_words())
    if raw.strip() == "?":
        return Intent("help", {})
    starts = list(_starts(heard.words))
    found = list(_found(heard, starts))
    if not found:
        return _unsure(heard, starts)
    best = _best(found)
    if len(best) > 1:
        return doubts.two_readings(best)
    asked = any(word.low in QUESTION_LEAD_INS for word in heard.words[: starts[-1]])
    return _checked(best[0], found, asked=asked)


# --- what stands around a command ------------------------------------------------


def _starts(heard: Sequence[Word]) -> Iterator[int]:
    """Where the command may begin: at the beginning, and after each lead-in."""
    at = 0
    yield at
    while length := _phrase(heard[at:], LEAD_INS):
        at += length
        yield at


def _phrase(heard: Sequence[Word], phrases: Sequence[tuple[str, ...]]) -> int:
    """How many words the longest of `phrases` takes at the beginning of `heard`."""
    low = tuple(word.low for word in heard[:5])
    return max((len(p) for p in phrases if low[: len(p)] == p), default=0)


def _is_at_end(heard: Sequence[Word], at: int) -> bool:
    while length := _phrase(heard[at:], TRAILS):
        at += length
    return at >= len(heard)


# --- which form -----------------------------------------------------------------


def _found(heard: Sentence, starts: Sequence[int]) -> Iterator[Found]:
    for start in starts:
        for entry in entries():
            for state in matches(entry.form, heard, State(start), FILLERS):
                if state.cost <= state.told and _is_at_end(heard.words, state.at):
                    yield Found(_intent(entry, state), state, entry.weak)


def _intent(entry: Entry, state: State) -> Intent:
    return Intent(entry.action, {**entry.fixed, **dict(state.fields)}, state.mended)


def _best(found: Sequence[Found]) -> list[Intent]:
    """The meanings that are left when all that is worse is gone."""
    least = min(one.state.cost for one in found)
    left = [one for one in found if one.state.cost == least]
    if all(one.weak for one in left):
        left = list(found)  # "send the last mesage to carol": a slip is more likely
    left = [one for one in left if one.state.sure] or left
    most = max((one.state.told for one in left if not one.weak), default=0)
    # "send bob hi to alice" is not sure, "send bob a message saying hi to alice" is.
    left = [one for one in left if one.state.told == most or (one.weak and most < 2)]
    meanings = {one.intent.meaning: one.intent for one in left}
    return list(meanings.values())


def _checked(intent: Intent, found: Sequence[Found], *, asked: bool) -> Intent | Unsure:
    """The same, unless something in it tells that it was not meant so."""
    if intent.action == "rename_other":
        return doubts.of_another(intent)
    if intent.action == "broadcast_one":
        return doubts.to_one_or_all(intent)
    if intent.action in ("ask", "reply_many") and intent.fields["to"][:1] in ("*", "#"):
        return doubts.one_only(intent)
    if intent.action == "auto_start":
        seconds = intent.fields.get("seconds", SHORTEST_S)
        is_possible = SHORTEST_S <= seconds <= LONGEST_S
        return intent if is_possible else doubts.about_time(intent)
    if "text" in intent.fields and not any(one.state.sure for one in found):
        return _doubt_of_text(intent, asked=asked) or intent
    return intent


def _doubt_of_text(intent: Intent, *, asked: bool) -> Unsure | None:
    """Where no colon tells that the text is text, it may have been more than that."""
    text = intent.fields["text"].strip()
    if all(word in _EMPTY for word in text.lower().split()):
        return doubts.no_text(intent)
    if intent.action == "reply" and "agent" not in intent.fields:
        named = _NAMED.match(text)
        if named is not None and named[1].lower() in ("all", "everyone", "everybody"):
            return doubts.one_only(intent)
        if named is not None and named[1].lower() not in NO_NAMES:
            return doubts.to_whom(intent, named[1])
    if intent.action not in ("send", "ask", "reply"):
        return None
    if _COMMANDS.search(text):
        return doubts.several_commands(intent)
    if str(intent.fields.get("to"))[:1] in ("*", "#") and leaves_out(text):
        return doubts.all_but(intent)
    if intent.action == "send" and _CONDITION.match(text):
        return doubts.when(intent)
    if intent.action == "send" and asked and text.endswith("?"):
        return doubts.with_or_without_mark(intent)
    return None


def _unsure(heard: Sentence, starts: Sequence[int]) -> Unsure:
    """Why: whatever fits if any word may be a name and the text may be missing."""
    near = sorted(
        _found(heard._replace(strict=False), starts),
        key=lambda one: (
            str(one.intent.fields.get("to")).lower() in NO_NAMES,
            one.state.cost,
            not one.state.sure,
            -one.state.told,
        ),
    )
    return doubts.explained(
        heard, starts[-1], [one.intent for one in near if not one.weak]
    )
