"""Reading JSON with comments."""

from __future__ import annotations

import pytest
from hypothesis import given

from ipcbus.doors.install import jsonc
from tests.doors.install import documents


@documents.some
@given(documents.values(4))
def test_it_means_what_json_says_once_comments_are_cut(text: str) -> None:
    assert jsonc.python(text, jsonc.parse(text)) == documents.meaning(text)


@documents.some
@given(documents.objects(3))
def test_each_value_is_where_it_is_said_to_be(text: str) -> None:
    root = jsonc.parse(text)
    assert documents.meaning(text[root.start : root.end]) == documents.meaning(text)
    for child in root.children:
        piece = text[child.value.start : child.value.end]
        assert documents.meaning(piece) == documents.meaning(text)[child.key]
        assert child.comma is None or text[child.comma] == ","


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("", 1, 1, "too early"),
        ("{", 1, 2, "key in double quotes"),
        ("[1, 2", 1, 6, "comma or ']'"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, "comma or '}'"),
        ('{"a" 1}', 1, 6, "colon"),
        ("{'a': 1}", 1, 2, "key in double quotes"),
        ("{a: 1}", 1, 2, "key in double quotes"),
        ('{"a": 1, "b": 2, "a": 3}', 1, 18, '"a" stands here a second time'),
        ('{"a": 1, "\\u0061": 3}', 1, 10, "second time"),
        ("[1] 2", 1, 5, "the end of the file"),
        ("[,]", 1, 2, "expected a value"),
        ("[01]", 1, 2, "expected a value"),
        ("[1.]", 1, 2, "expected a value"),
        ("[nulls]", 1, 2, "expected a value"),
        ("[NaN]", 1, 2, "expected a value"),
        ('["a\nb"]', 1, 2, "not closed"),
        ('["\\x"]', 1, 2, "not closed"),
        ("[1 /* never", 1, 4, "no end"),
        ("[" * 200, 1, 102, "100 levels"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, line: int, column: int, reason: str
) -> None:
    with pytest.raises(jsonc.Unreadable) as caught:
        jsonc.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert reason in caught.value.reason


def test_a_key_or_an_index_that_leads_nowhere_finds_nothing() -> None:
    text = '{"a": [1, {"b": 2}]}'
    root = jsonc.parse(text)
    found = jsonc.find(root, ("a", 1, "b"))
    assert found is not None
    assert text[found.start : found.end] == "2"
    for path in (("b",), ("a", 2), ("a", "b"), (0,), ("a", 0, "b")):
        assert jsonc.find(root, path) is None
