"""Queries, and what of a message they find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.errors import InvalidMessage
from ipcbus.store.words import Term, occurs, parse_query, searchable, to_fts, tokens
from tests.store.making import header_with


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("Green  BUILD", [Term(("green",), False), Term(("build",), False)]),
        ("gre*", [Term(("gre",), True)]),
        ('"release notes"', [Term(("release", "notes"), False)]),
        ('"release no"*', [Term(("release", "no"), True)]),
        ("uber-alles", [Term(("uber", "alles"), False)]),
        ("Überall", [Term(("uberall",), False)]),
        (
            'a"b c"d',
            [Term((w,), False) for w in "a"]
            + [Term(("b", "c"), False)]
            + [Term(("d",), False)],
        ),
    ],
)
def test_queries(query: str, terms: list[Term]) -> None:
    assert parse_query(query) == terms


def test_a_query_becomes_phrases_for_fts() -> None:
    assert to_fts(parse_query('red gre* "a b"')) == '"red" AND "gre" * AND "a b"'


@given(st.text())
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        terms = parse_query(query)
    except InvalidMessage:
        return
    assert all(word.isalnum() for term in terms for word in term.words)
    assert '"' not in to_fts(terms).replace('"', "", 2 * len(terms))


@pytest.mark.parametrize(
    ("query", "found"),
    [("b", True), ("b c", True), ('"b c"', True), ('"c b"', False), ('"b x"*', False),
     ('"a b"', True), ('"c d"', True), ('"d e"', False), ("dd*", True),
     ("ddx*", False)],
)  # fmt: skip
def test_a_term_occurs_where_its_words_follow_each_other(
    query: str, found: bool
) -> None:
    words = tokens("a b c d ddd")
    assert all(occurs(term, words) for term in parse_query(query)) is found


def test_data_is_found_by_keys_and_values() -> None:
    header = header_with({"job": {"name": "nightly build", "n": 7}, "x": [None, True]})
    _, data = searchable(header, b"")
    assert data == ["job", "name", "nightly", "build", "n", "7", "x", "true"]


def test_a_header_that_cannot_be_read_has_no_data() -> None:
    assert searchable(b"\xc1", b"a body") == (["a", "body"], [])
