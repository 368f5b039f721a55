"""Tests of single values: anything goes in, yes or no comes out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given

from ipcbus.protocol import limits
from ipcbus.protocol.fields import (
    is_attachments,
    is_facts,
    is_headers,
    is_labels,
    is_lease,
    is_plain,
    is_rows,
    is_runs,
    is_uints,
    opt_text,
    text,
    uint,
)
from tests.protocol import strategies
from tests.protocol.test_soup import junk


@given(strategies.plain)
def test_plain_data_is_what_json_can_say(value: Any) -> None:
    assert is_plain(value, depth=50)
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        b"",
        (1,),
        {1},
        {1: 2},
        {b"k": 1},
        math.nan,
        math.inf,
        -math.inf,
        2**64,
        -(2**63) - 1,
        [[b""]],
        {"k": [math.nan]},
        NotImplemented,
    ],
    ids=repr,
)
def test_what_json_cannot_say_is_not_plain(value: object) -> None:
    assert not is_plain(value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_plain_data_nests_as_deep_as_the_limit_and_no_deeper(wrap: Any) -> None:
    value: Any = 1
    for _ in range(limits.MAX_DEPTH):
        value = wrap(value)
    assert is_plain(value)
    assert not is_plain(wrap(value))


@given(junk)
def test_every_test_answers_yes_or_no_to_anything(value: Any) -> None:
    for test in (
        is_attachments,
        is_facts,
        is_headers,
        is_labels,
        is_lease,
        is_plain,
        is_runs,
        is_uints,
        uint,
    ):
        assert test(value) in (True, False)
    assert is_rows(value, 2) in (True, False)
    assert text(value, 3) in (True, False)
    assert opt_text(value, 3) in (True, False)


def test_truth_is_no_number() -> None:
    assert not uint(True)
    assert not is_lease(True)
    assert not is_uints([1, True])


def test_unsigned_integers_end_where_the_store_ends() -> None:
    assert uint(limits.MAX_UINT)
    assert not uint(limits.MAX_UINT + 1)
    assert not uint(-1)


def test_headers_are_texts_to_texts_within_bounds() -> None:
    assert is_headers(None)
    assert is_headers({"k" * 64: "v" * 1024})
    assert not is_headers({"k" * 65: "v"})
    assert not is_headers({"k": "v" * 1025})
    assert not is_headers({str(at): "v" for at in range(limits.MAX_HEADERS + 1)})
