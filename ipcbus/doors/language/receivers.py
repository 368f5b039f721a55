"""Names, receivers and topics in a form: what may stand for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ipcbus.doors.language.lists import EVERYONE, NO_NAMES, NO_NAMES_BY_THEMSELVES
from ipcbus.doors.language.pattern import Sentence, State, goes_on
from ipcbus.doors.language.words import Word, slips
from ipcbus.errors import InvalidAddress
from ipcbus.protocol.address import check_name, check_pattern, check_topic, parse

NEAR: Final = (
    *("message", "messages", "everyone", "everybody"),
    *("anyone", "anybody", "someone", "somebody"),
)
"""What a name is not taken for if it is near, unless a colon follows it."""

_JOINS: Final = frozenset({"and", "or", "&", "/", "plus"})


def who(sentence: Sentence, state: State) -> Iterator[State]:
    """A receiver: an agent, of here or of another network, a topic, or everyone."""
    word = goes_on(sentence, state)
    if word is None:
        return
    everyone = list(_everyone(sentence, state))
    if everyone:
        yield from everyone
        return
    address = word.text.removeprefix("@") or word.text
    is_one = _can_receive(word, address) and not is_one_of_many(
        sentence.words, state.at
    )
    if is_one or not sentence.strict:
        yield state.taking(state.at + 1, to=address)


def _can_receive(word: Word, address: str) -> bool:
    try:
        parse(address)
    except InvalidAddress:
        return False
    if word.text.startswith("@"):
        return True
    if word.low in NO_NAMES or any(slips(word.low, "everyone") == n for n in (1, 2)):
        return False
    return word.colon or not any(slips(word.low, wrong) for wrong in NEAR)


def is_one_of_many(words: Sequence[Word], at: int) -> bool:
    """Whether more receivers follow: "bob and alice ...", "bob, alice: ..."."""
    if at + 1 >= len(words) or words[at].colon:
        return False
    word = words[at]
    following = words[at + 1]
    if following.low in _JOINS or following.text[:1] == "&":
        return True
    return "," in word.after and (
        following.colon or (at + 2 < len(words) and words[at + 2].low in _JOINS)
    )


def _everyone(sentence: Sentence, state: State) -> Iterator[State]:
    words, at = sentence.words, state.at
    for phrase in EVERYONE:
        here = words[at : at + len(phrase)]
        counts = [
            _slips_of_everyone(word.low, wanted)
            for word, wanted in zip(here, phrase, strict=False)
        ]
        if len(here) < len(phrase) or None in counts:
            continue
        if any(word.stop for word in here[:-1]):
            continue
        yield state.taking(at + len(phrase), to="*")._replace(
            cost=state.cost + sum(count or 0 for count in counts),
            told=state.told + len(phrase),
            mended=(*state.mended, *_mended(here, phrase)),
        )
    if words[at].low == "all" and _is_all_a_receiver(words, at):
        yield state.taking(at + 1, to="*")


def _slips_of_everyone(typed: str, wanted: str) -> int | None:
    """ "the other" must not pass for "the others": only the one word is mended."""
    if wanted in ("everyone", "everybody"):
        return slips(typed, wanted)
    return 0 if typed == wanted else None


def _mended(here: list[Word], phrase: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for word, wanted in zip(here, phrase, strict=True):
        if word.low != wanted:
            yield word.text, wanted


def _is_all_a_receiver(words: list[Word], at: int) -> bool:
    before = words[at - 1].low if at else ""
    after = words[at + 1].low if at + 1 < len(words) else ""
    return words[at].colon or (before == "to" and after not in ("the", "of", "other"))


def name(sentence: Sentence, state: State) -> Iterator[State]:
    """A name for oneself: an agent's, of no other network."""
    word = goes_on(sentence, state)
    if word is None:
        return
    given = word.text.removeprefix("@")
    if not sentence.strict:
        yield state.taking(state.at + 1, name=given)
        return
    try:
        check_name(given)
    except InvalidAddress:
        return
    if word.low not in NO_NAMES:
        yield state.taking(state.at + 1, name=given)


def own_name(sentence: Sentence, state: State) -> Iterator[State]:
    """A name after "I am", where most words are none."""
    for after in name(sentence, state):
        low = sentence.words[state.at].low
        ends_in_ing = low.endswith("ing") and len(low) > 4
        if not sentence.strict or not (low in NO_NAMES_BY_THEMSELVES or ends_in_ing):
            yield after


def agent(sentence: Sentence, state: State) -> Iterator[State]:
    """Another agent, to be asked about or to have written."""
    for after in who(sentence, state):
        *others, (_, address) = after.fields
        if address[:1] not in ("*", "#"):
            yield after._replace(fields=(*others, ("agent", address)))


def many(sentence: Sentence, state: State) -> Iterator[State]:
    """Everyone, or a topic: what can be broadcast to."""
    for after in who(sentence, state):
        if dict(after.fields)["to"][:1] in ("*", "#"):
            yield after


def mention(sentence: Sentence, state: State) -> Iterator[State]:
    """`@bob` or `#builds`, which needs no word before it."""
    word = goes_on(sentence, state)
    if word is not None and word.text[:1] in ("@", "#"):
        yield from who(sentence, state)


def topic(sentence: Sentence, state: State) -> Iterator[State]:
    """`#builds`."""
    word = goes_on(sentence, state)
    if word is not None and word.text.startswith("#"):
        yield from _topic(sentence, state, word.text[1:])


def plain_topic(sentence: Sentence, state: State) -> Iterator[State]:
    """`builds`, where it was said that it is a topic."""
    word = goes_on(sentence, state)
    if word is not None and word.low not in NO_NAMES:
        yield from _topic(sentence, state, word.text.removeprefix("#"))


def _topic(sentence: Sentence, state: State, text: str) -> Iterator[State]:
    try:
        check_pattern(text)
    except InvalidAddress:
        if sentence.strict:
            return
    yield state.taking(state.at + 1, topic=f"#{text}")


def post(sentence: Sentence, state: State) -> Iterator[State]:
    """A topic to write to: no pattern."""
    for after in topic(sentence, state):
        *others, (_, address) = after.fields
        try:
            check_topic(address[1:])
        except InvalidAddress:
            if sentence.strict:
                continue
        yield after._replace(fields=(*others, ("to", address)))
