"""Words of a sentence, and how near two of them are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.doors.language.words import distance, slips, words

short = st.text("abcd", max_size=6)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("check", "check", 0),
        ("chek", "check", 1),
        ("cheeck", "check", 1),
        ("chack", "check", 1),
        ("chekc", "check", 1),
        ("", "abc", 3),
        ("abc", "", 3),
        ("ca", "abc", 3),  # a swapped pair is not edited again
        ("kitten", "sitting", 3),
    ],
)
def test_the_distance_counts_letters_changed_and_swapped(
    one: str, other: str, count: int
) -> None:
    assert distance(one, other) == count


@given(short, short)
def test_the_distance_is_the_same_both_ways_and_nothing_for_the_same(
    one: str, other: str
) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)


@pytest.mark.parametrize(
    ("typed", "wanted", "count"),
    [
        ("tel", "tell", 1),
        ("as", "is", None),  # a short word is near to everything
        ("fo", "to", None),
        ("brodcast", "broadcast", 1),
        ("brdcast", "broadcast", 2),
        ("brdcst", "broadcast", None),
        ("mesge", "message", None),  # two slips in seven letters
        ("mess4ge", "message", None),  # nobody slips to a digit
        ("unregister", "register", None),  # its contrary
        ("rebroadcast", "broadcast", None),
    ],
)
def test_slips_are_allowed_by_the_length_of_the_word(
    typed: str, wanted: str, count: int | None
) -> None:
    assert slips(typed, wanted) == count


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("tell bob: hi", ["tell", "bob", "hi"]),
        ("Who’s there?!", ["Who’s", "there"]),  # noqa: RUF001
        ("'bob' “bob” \"bob\" `bob`", ["bob"] * 4),
        ("fred. bob... a.b", ["fred", "bob", "a.b"]),
        ("bob@prod #a.b * @x", ["bob@prod", "#a.b", "*", "@x"]),
        ("it's bob's", ["it's", "bob's"]),
        (" \n\t ", []),
        ("...", []),
        ("a,b;c:d", ["a", "b", "c", "d"]),
    ],
)
def test_words_are_found_without_the_marks_around_them(
    sentence: str, found: list[str]
) -> None:
    assert [word.text for word in words(sentence)] == found


@given(st.text())
def test_words_lie_in_the_sentence_in_order(sentence: str) -> None:
    at = 0
    for word in words(sentence):
        assert at <= word.start < word.end
        assert word.text in sentence[word.start : word.end]
        assert sentence.startswith(word.after, word.end)
        at = word.end


def test_a_colon_and_a_stop_are_known_by_what_follows() -> None:
    plain, colon, stop = words("one two : three. ")

    assert (plain.colon, plain.stop) == (False, False)
    assert (colon.colon, colon.stop) == (True, True)
    assert (stop.colon, stop.stop) == (False, True)
