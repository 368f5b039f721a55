"""Patterns of names and topics, against all there is of small alphabets."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.protocol import address, limits
from ipcbus_bridges import patterns
from ipcbus_bridges.patterns import (
    ANY,
    Glob,
    Topics,
    covers,
    in_common,
    is_name,
    is_topic,
    topic_in_common,
)
from tests.bridges import naive

WORDS = ["".join(w) for n in range(1, 6) for w in product("ab-", repeat=n)]
SHORT = [word for word in WORDS if is_name(word)]

globs = st.text("ab-*", min_size=1, max_size=4).filter(lambda t: t[0] != "-")
parts = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)
patterns_of_topics = (
    st.tuples(parts, st.sampled_from([[], ["**"]]))
    .map(lambda both: ".".join([*both[0], *both[1]]))
    .filter(bool)
)
TOPICS = [".".join(t) for n in range(1, 6) for t in product("abx", repeat=n)]


def test_bounds_are_those_of_the_protocol() -> None:
    assert patterns.MAX_NAME == limits.MAX_NAME
    assert patterns.MAX_TOPIC == limits.MAX_TOPIC
    assert patterns.MAX_TOPIC_PARTS == limits.MAX_TOPIC_PARTS


@pytest.mark.parametrize(
    ("glob", "name"),
    [
        ("*", "a"),
        ("ci.*", "ci."),
        ("ci.*", "ci.x.y"),
        ("*.ci", "x.ci"),
        ("a*b*c", "a-b-b-c"),
        ("CI*", "ci"),
    ],
)
def test_a_star_is_any_run_of_letters_and_dots_also_of_none(
    glob: str, name: str
) -> None:
    assert Glob(glob).matches(name)


@pytest.mark.parametrize(
    ("glob", "name"),
    [("a", "ab"), ("ab", "a"), ("a*a", "a"), ("ci.*", "cix"), ("*b*b", "ab")],
)
def test_the_whole_name_is_compared(glob: str, name: str) -> None:
    assert not Glob(glob).matches(name)


@pytest.mark.parametrize(
    "text",
    ["", "?", "a?", "[ab]", "a b", "a@b", "#a", ".a", "-*", "ä*", "\u212a", "a" * 41],
)
def test_what_is_no_pattern_of_names_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of names"):
        Glob(text)


@given(globs, st.sampled_from(WORDS))
def test_a_glob_matches_what_a_naive_one_does(glob: str, word: str) -> None:
    assert Glob(glob).matches(word) == naive.glob(glob, word)


@given(globs, globs)
def test_covering_is_exact(big: str, small: str) -> None:
    inside = [word for word in SHORT if naive.glob(small, word)]
    if covers(Glob(big), Glob(small)):
        assert all(naive.glob(big, word) for word in inside)
    else:
        # A shortest one that proves it needs no more letters than both have.
        longer = [f"a{w}" for w in WORDS] + [f"{w}b" for w in SHORT] + SHORT
        longer += [f"x{w}" for w in WORDS] + [f"{w}x{v}" for w in SHORT for v in "ab"]
        assert any(
            naive.glob(small, word) and not naive.glob(big, word) for word in longer
        )


@given(st.lists(globs, min_size=1, max_size=3), st.lists(st.sampled_from(SHORT[:9])))
def test_what_globs_have_in_common_is_exact(
    given: list[str], without: list[str]
) -> None:
    found = in_common([Glob(glob) for glob in given], without)
    if found is None:
        left = {w for w in SHORT if all(naive.glob(g, w) for g in given)}
        assert left <= set(without)
    else:
        assert is_name(found)
        assert found not in without
        assert all(naive.glob(glob, found) for glob in given)


def test_names_are_too_short_for_some_patterns_together() -> None:
    long = Glob("a" * 20 + "*")
    assert in_common([long, Glob("*" + "b" * 12)]) == "a" * 20 + "b" * 12
    assert in_common([long, Glob("*" + "b" * 13)]) is None
    assert in_common([Glob("a" * 33)]) is None


def test_names_that_are_left_out_do_not_end_the_search() -> None:
    assert in_common([Glob("a*"), Glob("*a")], ["a", "aa"]) not in (None, "a", "aa")
    assert in_common([ANY, Glob("dev")], ["dev"]) is None


def test_covering_is_exact_where_no_letter_is_left_and_no_room() -> None:
    every = "abcdefghijklmnopqrstuvwxyz0123456789"
    assert covers(Glob("*"), Glob(f"*{every[:30]}*"))
    assert not covers(Glob(f"*{every}*"), Glob("a*"))
    assert covers(Glob(f"a*{every}".replace("bc", "*")), Glob("a" * 33))
    assert covers(Glob("a" * 32), Glob("a" * 32 + "*")), "there is only that name"
    assert not covers(Glob("a" * 32), Glob("a" * 31 + "*"))


# --- topics --------------------------------------------------------------------


@given(patterns_of_topics, st.sampled_from(TOPICS))
def test_topics_are_matched_as_the_broker_does(pattern: str, topic: str) -> None:
    assert Topics.of(pattern).matches(topic) == address.matches(pattern, topic)
    assert str(Topics.of(pattern)) == pattern


@given(patterns_of_topics, patterns_of_topics)
def test_covering_of_topics_is_exact(big: str, small: str) -> None:
    inside = [topic for topic in TOPICS if address.matches(small, topic)]
    assert Topics.of(big).covers(Topics.of(small)) == all(
        address.matches(big, topic) for topic in inside
    )


@given(st.lists(patterns_of_topics, min_size=1, max_size=3))
def test_what_topics_have_in_common_is_exact(given: list[str]) -> None:
    found = topic_in_common(map(Topics.of, given))
    if found is None:
        assert not any(all(address.matches(p, t) for p in given) for t in TOPICS)
    else:
        assert is_topic(found)
        assert all(address.matches(pattern, found) for pattern in given)


@given(patterns_of_topics, st.lists(st.sampled_from("ab"), max_size=3))
def test_a_prefix_is_taken_off_exactly(pattern: str, prefix: list[str]) -> None:
    below = Topics.of(pattern).below(prefix)
    for topic in TOPICS[:120]:
        whole = address.matches(pattern, ".".join([*prefix, topic]))
        assert whole == (below is not None and below.matches(topic))


@pytest.mark.parametrize(
    "text", ["", "a..b", "**.a", "a*", "a.**.b", "ä", "a b", ".".join("a" * 9)]
)
def test_what_is_no_pattern_of_topics_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of topics"):
        Topics.of(text)


def test_the_case_of_topics_counts() -> None:
    assert not Topics.of("Deploy").matches("deploy")
