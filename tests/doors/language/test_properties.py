"""What holds for every sentence."""

from __future__ import annotations

import random
import string
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st

from ipcbus.doors.language import Intent, Unsure, parse, plainly
from ipcbus.doors.language.forms import real_words
from ipcbus.doors.language.lists import NO_NAMES
from ipcbus.doors.language.words import MOST, words
from ipcbus.protocol.limits import MAX_BODY
from tests.doors.language.corpus import SURE, Meaning

any_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
names = any_names.filter(lambda name: not name.endswith("."))  # that ends a sentence
agents = names | st.tuples(names, names).map("@".join)
any_agents = any_names | st.tuples(any_names, any_names).map("@".join)
topics = st.from_regex(r"#[a-z0-9_-]{1,8}(\.[a-z0-9_-]{1,8}){0,2}", fullmatch=True)
texts = st.text(min_size=1, max_size=80).filter(str.strip)
seconds = st.integers(10, 86_400).map(float)


# --- whatever is said ------------------------------------------------------------


@given(st.text(st.characters()))
@example("")
@example("\x00\ud800")
@example("tell bob: \ud800")
@example("'\u2019\u201c\u201d\u201e\u00ab\u00bb`")
def test_nothing_makes_it_raise(sentence: str) -> None:
    assert isinstance(parse(sentence), (Intent, Unsure))


@given(st.data())
def test_no_soup_of_its_own_words_makes_it_raise(data: st.DataObject) -> None:
    pieces = [*sorted(real_words()), "bob", "#x", "bob@prod", ":", ",", "?", "5", "*"]
    soup = data.draw(st.lists(st.sampled_from(pieces), max_size=12))
    found = parse(" ".join(soup))

    if isinstance(found, Intent):
        assert parse(plainly(found)) == found._replace(mended=())
    else:
        assert found.says


def test_a_sentence_as_long_as_a_message_may_be_is_read_by_its_beginning() -> None:
    for piece in ("x", " to bob", "a ", ": ", "\n", "“", "send ", "é?"):
        text = piece * (MAX_BODY // len(piece))
        assert len(words(text)) <= MOST + 1
        assert isinstance(parse(text), (Intent, Unsure))
        found = parse(f"tell bob:\n{text}x")
        assert isinstance(found, Intent)
        assert found.fields["text"] == f"{text}x"


# --- the text ----------------------------------------------------------------------


@given(agents, texts)
@example("bob", "that it works")
@example("bob", ": two colons")
@example("bob", '"quoted"')
@example("bob", "trailing blanks  \n")
def test_a_text_behind_a_colon_is_sent_as_it_was_typed(to: str, text: str) -> None:
    text = text.lstrip()
    for form in ("tell @{}: {}", "send a message to @{}: {}", "Please msg @{}: {}"):
        found = parse(form.format(to, text))
        assert isinstance(found, Intent)
        assert (found.action, found.fields) == ("send", {"to": to, "text": text})


@given(texts)
@example("  code:\n    indented\n")
@example("\n\n")
def test_a_text_on_its_own_lines_keeps_its_blanks(text: str) -> None:
    found = parse(f"broadcast:\n{text}")

    if text.strip():
        assert isinstance(found, Intent)
        assert found.fields == {"to": "*", "text": text}


@given(st.text(string.ascii_letters + " .,!'-:/()", min_size=1, max_size=40))
def test_a_text_without_a_colon_is_a_piece_of_what_was_typed(text: str) -> None:
    sentence = f"tell bob {text}"
    found = parse(sentence)

    if isinstance(found, Intent):
        assert found.fields["to"] == "bob"
        assert found.fields["text"] in sentence
        assert sentence.endswith(found.fields["text"])


# --- the way back --------------------------------------------------------------------

_plain_texts = texts.map(str.strip)
intents = st.one_of(
    st.builds(lambda to, t: Intent("send", {"to": to, "text": t}),
              any_agents | topics | st.just("*"), texts),
    st.builds(lambda to, t: Intent("ask", {"to": to, "text": t}), any_agents, texts),
    st.builds(lambda a, t: Intent("reply", {"agent": a, "text": t}), any_agents, texts),
    st.builds(lambda t: Intent("reply", {"text": t}), texts),
    st.builds(lambda t: Intent("search", {"text": t}), _plain_texts),
    st.builds(lambda n: Intent("register", {"name": n}), any_names),
    st.builds(lambda n: Intent("rename", {"name": n}), any_names),
    st.builds(lambda n: Intent("agents", {"agent": n}), any_agents),
    st.builds(lambda n: Intent("history", {"agent": n}), any_agents),
    st.builds(lambda to: Intent("forward", {"to": to}),
              any_agents | topics | st.just("*")),
    st.builds(lambda to, a: Intent("forward", {"to": to, "agent": a}),
              any_agents, any_agents),
    st.builds(lambda t: Intent("join", {"topic": t}), topics),
    st.builds(lambda t: Intent("leave", {"topic": t}), topics),
    st.builds(lambda s: Intent("wait", {"seconds": s}), seconds),
    st.builds(lambda s: Intent("auto_start", {"seconds": s}), seconds),
    st.sampled_from(
        [
            Intent(action, {})
            for action in ("check", "wait", "agents", "whoami", "status", "history",
                           "help", "auto_start", "auto_stop", "auto_status")
        ]
    ),
)  # fmt: skip


@given(intents)
def test_what_it_tells_to_type_means_what_it_understood(intent: Intent) -> None:
    found = parse(plainly(intent))

    assert isinstance(found, Intent), found
    assert found.meaning == intent.meaning


@given(names)
def test_every_name_can_be_taken(name: str) -> None:
    for form in ("register as {}", "rename to {}"):
        given = f"@{name}" if name.lower() in NO_NAMES else name
        found = parse(form.format(given))
        assert isinstance(found, Intent)
        assert found.fields == {"name": name}


# --- the same in other words ---------------------------------------------------------

BEFORE: Final = (
    *("", "please ", "Please, ", "hey ipcbus, ", "ok, ", "Hello! ", "and now "),
    *("kindly ", "just ", "can you ", "could you please ", "I want to ", "let's "),
)
AFTER: Final = ("", " please", ", please", ", thanks!", " thank you.", " for me", "!")
_ASKING: Final = ("can ", "could ")


def _is_framed(sentence: str) -> bool:
    """Whether something may be put before it without its meaning another thing."""
    return sentence[0] not in '"?' and "_" not in sentence.split()[0]


def _kept(sentence: str, fields: dict[str, Any]) -> set[int]:
    """Places of letters that are not ours to change: names and the text."""
    kept: set[int] = set()
    for key, value in fields.items():
        if isinstance(value, str):
            wanted = value.removeprefix("#")  # "the builds channel"
            place = sentence.rfind(wanted) if key == "text" else sentence.find(wanted)
            kept.update(range(place, place + len(wanted)))
    return kept


def _in_random_case(sentence: str, fields: dict[str, Any], seed: int) -> str:
    chance, kept = random.Random(seed), _kept(sentence, fields)
    return "".join(
        letter if place in kept else chance.choice((letter.lower(), letter.upper()))
        for place, letter in enumerate(sentence)
    )


@given(
    st.sampled_from([each for each in SURE if _is_framed(each[0])]),
    st.sampled_from(BEFORE),
    st.sampled_from(AFTER),
    st.integers(0, 2**32),
)
def test_case_and_politeness_change_nothing(
    said: tuple[str, Meaning], before: str, after: str, seed: int
) -> None:
    sentence, (action, fields) = said
    has_text = "text" in fields
    asks = before.startswith(_ASKING) and sentence.endswith("?")
    if has_text and asks and ":" not in sentence:
        before = ""  # whose question mark it is would not be sure
    sentence = _in_random_case(sentence, fields, seed)
    found = parse(f"{before}{sentence}{'' if has_text else after}")

    assert isinstance(found, Intent), found
    assert (found.action, dict(found.fields)) == (action, fields)


def _with_a_slip(word: str, chance: random.Random) -> str:
    place, letter = (
        chance.randrange(len(word) - 1),
        chance.choice(string.ascii_lowercase),
    )
    return chance.choice(
        (
            word[:place] + word[place + 1 :],
            word[:place] + letter + word[place:],
            word[:place] + letter + word[place + 1 :],
            word[:place] + word[place + 1] + word[place] + word[place + 2 :],
        )
    )


def _is_faultless(said: tuple[str, Meaning]) -> bool:
    found = parse(said[0])
    return isinstance(found, Intent) and not found.mended and "text" not in said[1][1]


@given(st.sampled_from(SURE).filter(_is_faultless), st.integers(0, 2**32))
def test_a_slip_of_the_finger_never_makes_another_command(
    said: tuple[str, Meaning], seed: int
) -> None:
    sentence, (action, fields) = said
    chance, kept = random.Random(seed), _kept(sentence, fields)
    slipped = [
        word
        for word in words(sentence)
        if len(word.text) > 4
        and word.text.isalpha()
        and word.end - 1 not in kept
        and word.start + 1 not in kept
    ]
    if not slipped:
        return
    word = chance.choice(slipped)
    mended = _with_a_slip(word.text, chance)
    found = parse(sentence[: word.start] + mended + sentence[word.end :])

    if isinstance(found, Intent):
        assert (found.action, dict(found.fields)) == (action, fields)


def test_most_slips_are_mended() -> None:
    """In one word of five letters or more, of every sentence that has one."""
    chance = random.Random(7)
    tried = mended = 0
    for sentence, (action, fields) in SURE:
        for word in words(sentence):
            if len(word.text) > 4 and word.low in real_words() and not fields:
                typed = _with_a_slip(word.text, chance)
                found = parse(sentence[: word.start] + typed + sentence[word.end :])
                tried += 1
                mended += isinstance(found, Intent) and found.action == action

    assert mended / tried > 0.9, f"{mended} of {tried}"
