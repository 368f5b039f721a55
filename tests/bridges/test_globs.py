"""Corners of patterns that chance seldom comes to."""

from __future__ import annotations

import pytest

from ipcbus_bridges.patterns import (
    ALL_TOPICS,
    ANY,
    MAX_TOPIC,
    MAX_TOPIC_PARTS,
    Glob,
    Side,
    Topics,
    covers,
    is_topic,
)


@pytest.mark.parametrize("name", ["ab", "ba", "a", "bab"])
def test_what_stands_between_stars_may_be_at_either_end(name: str) -> None:
    assert Glob("*a*").matches(name)


@pytest.mark.parametrize("name", ["ab", "aba", "abb", "xab", "abx"])
def test_what_stands_twice_between_stars_must_be_there_twice(name: str) -> None:
    assert Glob("*ab*").matches(name)
    assert not Glob("*ab*ab*").matches(name)


def test_pieces_between_stars_do_not_share_a_letter() -> None:
    assert not Glob("*aba*aba*").matches("xababax")
    assert Glob("*aba*aba*").matches("xabaabax")


# --- bounds --------------------------------------------------------------------------


def test_a_topic_may_be_as_long_and_have_as_many_parts_as_the_bounds_say() -> None:
    longest, deepest = "a" * MAX_TOPIC, ".".join("a" * MAX_TOPIC_PARTS)
    for text in (longest, deepest):
        assert is_topic(text)
        assert Topics.of(text).matches(text)
    for text in (longest + "a", deepest + ".a"):
        assert not is_topic(text)
        with pytest.raises(ValueError, match="is no pattern of topics"):
            Topics.of(text)


@pytest.mark.parametrize("text", ["", "a..b", ".a", "a.", "a b", "ä", "a.*", "**"])
def test_what_is_no_topic_is_matched_by_nothing(text: str) -> None:
    assert not is_topic(text)
    assert not ALL_TOPICS.matches(text)


def test_all_topics_are_all() -> None:
    assert all(map(ALL_TOPICS.matches, ("a", "a.b", "A-_9.b.c.d.e.f.g.h")))


def test_below_a_prefix_that_is_a_whole_topic_there_is_nothing() -> None:
    assert Topics.of("a").below(["a"]) is None
    assert Topics.of("a.**").below(["a"]) == ALL_TOPICS


def test_a_pattern_of_names_may_be_longer_than_a_name() -> None:
    assert Glob("*" + "a" * 39).text == "*" + "a" * 39
    with pytest.raises(ValueError, match="is no pattern of names"):
        Glob("*" + "a" * 40)


def test_globs_are_equal_when_they_match_the_same_in_the_same_words() -> None:
    assert Glob("A**b") == Glob("a*b")
    assert Glob("a*") != Glob("a")
    assert Glob("a") != "a"


def test_sides_match_and_cover_by_name_and_network_both() -> None:
    side = Side(Glob("a*"), Glob("dev"))
    assert side.matches("alice", "dev")
    assert not side.matches("bob", "dev")
    assert not side.matches("alice", "prod")
    assert side.covers(Side(Glob("ab"), Glob("dev")))
    assert not side.covers(Side(Glob("*"), Glob("dev")))
    assert not side.covers(Side(Glob("ab"), ANY))


def test_covering_is_exact_where_names_have_an_end() -> None:
    """Of these there is one name, or few, as no name is longer than 32 letters."""
    full = Glob("a" * 32 + "*")
    assert covers(Glob("*a*"), full)
    assert covers(Glob("a*a"), full)
    assert not covers(Glob("*b*"), full)
    assert covers(Glob("a*"), Glob("a" * 31 + "*"))
    assert not covers(Glob("*a"), Glob("a" * 31 + "*"))
