"""Names, addresses, topics and patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.errors import InvalidAddress
from ipcbus.protocol import limits
from ipcbus.protocol.address import (
    EVERYONE,
    Address,
    Kind,
    check_name,
    check_pattern,
    check_topic,
    fold,
    is_id,
    matches,
    parse,
)
from tests.protocol import strategies

ALNUM = strategies.ALNUM

parts = st.sampled_from(["a", "b", "ab", "A"])
few_topics = st.lists(parts, min_size=1, max_size=5).map(".".join)
few_patterns = st.builds(
    lambda middle, last: ".".join([*middle, *last]),
    st.lists(parts | st.just("*"), max_size=4),
    st.lists(parts | st.sampled_from(["*", "**"]), min_size=1, max_size=1),
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("bob", Address(Kind.AGENT, "bob")),
        ("Bob.2_x-y", Address(Kind.AGENT, "Bob.2_x-y")),
        ("7", Address(Kind.AGENT, "7")),
        ("bob@prod", Address(Kind.FOREIGN, "bob", "prod")),
        ("#ci", Address(Kind.TOPIC, "ci")),
        ("#ci.build-7.x_y", Address(Kind.TOPIC, "ci.build-7.x_y")),
        ("*", EVERYONE),
    ],
)
def test_an_address_is_an_agent_a_foreign_agent_a_topic_or_everyone(
    text: str, address: Address
) -> None:
    assert parse(text) == address


@given(strategies.addresses)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "#",
        "**",
        "*x",
        ".bob",
        "-bob",
        "_bob",
        "bob@",
        "@prod",
        "bob@prod@dev",
        "bob @prod",
        "bob\n",
        "bob@prod\n",
        "#ci\n",
        "bob\0",
        "b" * (limits.MAX_NAME + 1),
        "bob@" + "p" * (limits.MAX_NAME + 1),
        "bоb",  # noqa: RUF001 - the o is Cyrillic
        "Ｂob",  # noqa: RUF001 - the B is full width
        "bob\u200b",
        "ﬁ",
        "#a..b",
        "#.a",
        "#a.",
        "#a.*",
        "#**",
        "#a b",
        "#ä",
        "##a",
        "#" + "a" * (limits.MAX_TOPIC + 1),
        "#" + ".".join("a" * (limits.MAX_TOPIC_PARTS + 1)),
    ],
    ids=repr,
)
def test_what_is_no_address_is_refused_with_the_text_that_was_meant(text: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse(text)
    assert caught.value.facts["reason"]
    assert caught.value.facts["address"] in text


@given(st.text(f"{ALNUM}._-@ä\n", max_size=35))
def test_a_name_is_what_its_grammar_says_letter_by_letter(text: str) -> None:
    allowed = (
        1 <= len(text) <= limits.MAX_NAME
        and text[0] in ALNUM
        and all(letter in ALNUM + "._-" for letter in text)
    )
    try:
        assert check_name(text) == text
    except InvalidAddress:
        assert not allowed
    else:
        assert allowed


@given(st.text(f"{ALNUM}._:- ä\n", max_size=limits.MAX_ID + 2))
def test_an_id_is_what_its_grammar_says_letter_by_letter(text: str) -> None:
    assert is_id(text) == (
        1 <= len(text) <= limits.MAX_ID
        and all(letter in ALNUM + "._:-" for letter in text)
    )


@given(strategies.names)
def test_names_are_compared_without_case(name: str) -> None:
    assert fold(name.upper()) == fold(name.lower()) == fold(fold(name))
    assert check_name(fold(name))


@given(strategies.topics)
def test_a_topic_is_a_pattern_that_selects_itself_alone(topic: str) -> None:
    assert check_pattern(check_topic(topic)) == topic
    assert matches(topic, topic)
    assert not matches(topic, f"{topic}x")


@pytest.mark.parametrize("pattern", ["*", "**", "*.a", "a.*", "a.**", "a.*.**", "*.*"])
def test_wildcards_are_whole_parts_and_the_rest_comes_last(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
    with pytest.raises(InvalidAddress):
        check_topic(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "a*", "*a", "**.a", "a.**.b", "***", "a.", ".*", "a.b*"]
)
def test_any_other_use_of_wildcards_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidAddress):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "topic", "selected"),
    [
        ("ci", "ci", True),
        ("ci", "CI", False),
        ("ci", "ci.build", False),
        ("*", "ci", True),
        ("*", "ci.build", False),
        ("ci.*", "ci", False),
        ("ci.*", "ci.build", True),
        ("*.build", "ci.build", True),
        ("**", "ci", True),
        ("**", "ci.build.7", True),
        ("ci.**", "ci", True),
        ("ci.**", "ci.build.7", True),
        ("ci.**", "cd.build", False),
        ("ci.*.**", "ci", False),
        ("ci.*.**", "ci.build", True),
    ],
)
def test_a_star_is_one_part_and_two_are_any_rest(
    pattern: str, topic: str, selected: bool
) -> None:
    assert matches(pattern, topic) is selected


@given(few_patterns, few_topics)
def test_matching_agrees_with_a_slow_reading_of_the_grammar(
    pattern: str, topic: str
) -> None:
    assert matches(pattern, topic) is _slow(pattern.split("."), topic.split("."))


def _slow(pattern: list[str], topic: list[str]) -> bool:
    """One part at a time, trying every length of the rest."""
    if not pattern:
        return not topic
    if pattern[0] == "**":
        return any(_slow(pattern[1:], topic[at:]) for at in range(len(topic) + 1))
    return (
        bool(topic) and pattern[0] in ("*", topic[0]) and _slow(pattern[1:], topic[1:])
    )
