"""Inserting into JSON with comments, and cutting out again."""

from __future__ import annotations

import pytest
from hypothesis import given

from ipcbus.doors.install import jsonc, surgery
from ipcbus.doors.install.jsonc import Path
from tests.doors.install import documents


@documents.some
@given(documents.objects(3, ("a", "b", "é", "hooks")))
def test_what_was_put_in_and_taken_out_leaves_no_trace(text: str) -> None:
    new = surgery.put(text, ("new", "deep"), {"x": [1, {}]})
    assert documents.meaning(new) == {
        **documents.meaning(text),
        "new": {"deep": {"x": [1, {}]}},
    }
    assert surgery.remove(new, ("new", "deep"), text) == text


@documents.some
@given(documents.objects(3, ("a", "ours", "b")))
def test_wherever_somebody_moved_it_only_ours_is_taken_out(text: str) -> None:
    wanted = documents.meaning(text)
    if "ours" in wanted:
        del wanted["ours"]
        assert documents.meaning(surgery.remove(text, ("ours",), text)) == wanted


@documents.some
@given(documents.objects(3, ("a", "ours", "b")))
def test_wherever_it_is_only_ours_is_replaced(text: str) -> None:
    there = jsonc.find(jsonc.parse(text), ("ours",))
    if there is not None:
        new = surgery.replace(text, there, {"x": [1]})
        assert documents.meaning(new) == {**documents.meaning(text), "ours": {"x": [1]}}


def check(text: str, path: tuple[str, ...], value: object, wanted: str) -> None:
    new = surgery.put(text, path, value)
    assert new == wanted
    assert surgery.remove(new, path, text) == text


def test_a_new_member_is_written_as_its_neighbours_are() -> None:
    check(
        '{\n\t"a": {\n\t\t"b": 1\n\t}\n}',
        ("a", "c"),
        {"d": 1},
        '{\n\t"a": {\n\t\t"b": 1,\n\t\t"c": {\n\t\t\t"d": 1\n\t\t}\n\t}\n}',
    )


def test_lines_end_as_they_do_in_the_file() -> None:
    check(
        '{\r\n    "a": 1\r\n}\r\n',
        ("b",),
        [1],
        '{\r\n    "a": 1,\r\n    "b": [\r\n        1\r\n    ]\r\n}\r\n',
    )


def test_a_file_of_one_line_stays_one() -> None:
    check('{"a":1}', ("b", "c"), [1], '{"a":1, "b": {"c": [1]}}')
    check('{"a":{}}', ("a", "b"), [1], '{"a":{"b": [1]}}')


def test_an_empty_file_of_settings_is_opened_up() -> None:
    check("{}", ("a", "b"), 1, '{\n  "a": {\n    "b": 1\n  }\n}')


def test_a_comment_on_the_line_stays_with_what_it_is_about() -> None:
    check(
        '{\n  "a": 1 // about a\n  // at the end\n}',
        ("b",),
        2,
        '{\n  "a": 1, // about a\n  "b": 2\n  // at the end\n}',
    )


def test_a_last_comma_is_still_the_last_thing() -> None:
    check('{\n  "a": 1,\n}', ("b",), 2, '{\n  "a": 1,\n  "b": 2,\n}')
    check('{"a": 1, }', ("b",), 2, '{"a": 1, "b": 2, }')


def test_white_space_at_the_end_of_a_comment_is_left() -> None:
    check('{\n\t"a": 1, // c \n}', ("b",), 2, '{\n\t"a": 1, // c \n\t"b": 2,\n}')


def test_a_line_that_ends_by_a_carriage_return_alone_ends_a_comment() -> None:
    assert surgery.remove('{ // c\r "ours": 1 }\n', ("ours",), "") == "{ // c\r }\n"


def test_nothing_is_swallowed_by_a_line_comment() -> None:
    check('{"a": 1 // x\n}', ("b",), 2, '{"a": 1, // x\n"b": 2\n}')
    text = '{ // x\n  "ours": 1}'
    assert surgery.remove(text, ("ours",), "{}") == "{ // x\n}"


@pytest.mark.parametrize("inside", ["", " ", "\n", "\n  ", " // nothing yet\n", "/**/"])
def test_a_container_that_was_empty_is_empty_again(inside: str) -> None:
    text = f'{{\n  "a": {{{inside}}},\n  "b": [{inside}]\n}}'
    new = surgery.append(surgery.put(text, ("a", "x"), 1), ("b",), 2)
    assert documents.meaning(new) == {"a": {"x": 1}, "b": [2]}
    new = surgery.remove(surgery.remove(new, ("a", "x"), text), ("b", 0), text)
    assert new == text


def test_without_the_text_from_before_an_emptied_container_goes() -> None:
    text = '{\n  "a": {\n    "x": [\n      1\n    ]\n  },\n  "b": 2\n}'
    assert surgery.remove(text, ("a", "x", 0), "") == '{\n  "b": 2\n}'


def test_a_comment_keeps_its_container() -> None:
    text = '{\n  "a": {\n    // mine\n    "x": 1\n  }\n}'
    new = surgery.remove(text, ("a", "x"), "{}")
    assert documents.meaning(new) == {"a": {}}
    assert "// mine" in new


def test_what_was_not_empty_before_stays_if_it_is_empty_now() -> None:
    text = '{"a": {"x": 1}}'
    assert surgery.remove(text, ("a", "x"), '{"a": {"y": 2}}') == '{"a": {}}'


@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_of_several_can_be_taken_out(index: int) -> None:
    text = "[\n  1,\n  2, // two\n  3\n]"
    left = [n for n in (1, 2, 3) if n != index + 1]
    path: Path = (index,)
    assert documents.meaning(surgery.remove(text, path, "")) == left


def test_a_value_of_another_kind_is_in_the_way() -> None:
    with pytest.raises(surgery.Misfit, match=r"^a\.b is not an object$"):
        surgery.put('{"a": {"b": 1}}', ("a", "b", "c"), 2)
    with pytest.raises(surgery.Misfit, match=r"^the file is not an object$"):
        surgery.put("[]", ("a",), 2)
    with pytest.raises(surgery.Misfit, match=r"^a is not a list$"):
        surgery.append('{"a": {}}', ("a",), 2)
