"""What is taken out of messages."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.protocol import limits
from ipcbus_bridges import redact
from ipcbus_bridges.redact import Redact, Redacted, apply, check_mask


def masked(text: str, *masks: str, by: str = "-") -> str:
    return apply(Redact(masks, replacement=by), text.encode(), {}, {}).body.decode()


def test_bounds_are_those_of_the_protocol() -> None:
    assert redact.MAX_BODY == limits.MAX_BODY
    assert redact.MAX_META < limits.MAX_META


@pytest.mark.parametrize(
    ("mask", "text", "left"),
    [
        ("AKIA*", "key AKIA1234/x, and AKIA", "key - and -"),
        ("token=*;", "token=abc; token=; token=a b;", "- - token=a b;"),
        ("password: *", "password: hunter2\nok", "-\nok"),
        ("secret", "secretsecret Secret", "-- Secret"),
        ("abc*d*e", "abcdde abcd e abcxdxe", "- abcd e -"),
        ("abc**d", "abcxd", "-"),
        ("abc* x*y", "abcq xzy abc xzzy abcq zxy", "- - abcq zxy"),
        ("ab.c[*", "ab.c[x ab-c[x", "- ab-c[x"),
        ("äöü*", "äöüß ü", "- ü"),
    ],
)
def test_a_star_is_a_run_without_spaces(mask: str, text: str, left: str) -> None:
    assert masked(text, check_mask(mask)) == left


@pytest.mark.parametrize("mask", ["", "*", "ab", "ab*", "*abc", "  a *", "a" * 129])
def test_a_mask_begins_with_three_letters_of_literal_text(mask: str) -> None:
    with pytest.raises(ValueError, match="is no mask"):
        check_mask(mask)


def naive(mask: str, text: str) -> str:
    pieces = [re.escape(piece) for piece in mask.split("*")]
    last = r"\S*" if mask.endswith("*") else r"\S*?"
    pattern = r"\S*?".join(pieces[:-1]) + (last if len(pieces) > 1 else "") + pieces[-1]
    return re.sub(pattern, "-", text)


@given(
    st.from_regex(r"\Aaab[ab *]{0,5}\Z").map(lambda m: re.sub(r"\*+", "*", m)),
    st.text("aab b", max_size=40),
)
def test_it_masks_what_a_regular_expression_would(mask: str, text: str) -> None:
    assert masked(text, mask) == naive(mask, text)


@pytest.mark.security
@pytest.mark.parametrize(
    ("mask", "text"),
    [
        ("aaa*b", "a" * limits.MAX_BODY),
        ("aaa*b", "aaaaab" * (limits.MAX_BODY // 6)),
        ("aaa*b*c*d", "aaab" * (limits.MAX_BODY // 4)),
        ("aaa*x c*zzz", "aaac" * (limits.MAX_BODY // 4 - 9) + "x cc"),
        ("aaa* aaa* aaa*b", "aaa " * (limits.MAX_BODY // 4)),
        ("aaa*zzz", "aaa " * (limits.MAX_BODY // 4)),
    ],
)
def test_a_text_is_read_once_however_it_was_made(mask: str, text: str) -> None:
    start = time.perf_counter()
    masked(text, mask)
    assert time.perf_counter() - start < 10


def test_masks_are_looked_for_in_data_and_headers_too() -> None:
    rule = Redact(("tok=*",))
    found = apply(rule, b"tok=1", {"a": ["tok=2", 3, None]}, {"h": "x tok=4"})
    assert found == Redacted(
        b"[redacted]",
        {"a": ["[redacted]", 3, None]},
        {"h": "x [redacted]"},
        True,
    )


def test_headers_and_data_are_left_out_by_name() -> None:
    rule = Redact(headers=("ENV",), data=("body.tokens", "gone", "list.secret"))
    data = {
        "body": {"tokens": [1], "text": "x"},
        "gone": {},
        "list": [{"secret": 1, "n": 2}, 5],
        "tokens": 1,
    }
    found = apply(rule, b"x", data, {"env": "A=1", "via": "y"})
    assert found.data == {
        "body": {"text": "x"},
        "list": [{"n": 2}, 5],
        "tokens": 1,
    }
    assert found.headers == {"via": "y"}
    assert data["gone"] == {}, "the message itself is left as it is"


def test_what_had_nothing_to_hide_is_unchanged() -> None:
    rule = Redact(("secret*",), ("env",), ("a.b",))
    found = apply(rule, b"hello", {"a": "x"}, {})
    assert found == Redacted(b"hello", {"a": "x"}, {}, False)
    assert apply(rule, b"x", None, {}).data is None


def test_a_body_that_is_no_text_stays() -> None:
    assert apply(Redact(("abc",)), b"\xffabc", {}, {}).body == b"\xffabc"


@pytest.mark.parametrize("where", ["body", "headers"])
def test_a_message_never_outgrows_the_protocol(where: str) -> None:
    rule = Redact(("abc",), replacement="x" * 64)
    text = "abc" * 10_000
    body = text * 30 if where == "body" else ""
    found = apply(rule, body.encode(), {}, {"h": text} if where == "headers" else {})
    assert found.changed
    assert set(found.body + found.headers.get("h", "").encode()) == {ord("*")}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=9,
)


@given(st.binary(max_size=30), VALUES, st.dictionaries(st.text("ab"), st.text("abc")))
def test_it_never_fails_and_does_the_same_again(
    body: bytes, data: Any, headers: dict[str, str]
) -> None:
    rule = Redact(("abc*", "aab*c"), ("a",), ("a.b", "b.a.b", "a"), "*")
    once = apply(rule, body, data, headers)
    assert apply(rule, body, data, headers) == once
    assert not apply(rule, once.body, once.data, once.headers).changed
