"""Durations, as people and scripts spell them."""

from __future__ import annotations

import re

import click
import pytest

from ipcbus.doors.cli.options import duration, structured


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5", 1.5),
        ("15m", 900),
        ("2h", 7200),
        ("7d", 604_800),
        ("500ms", 0.5),
        (12.5, 12.5),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 weeks", "s", "1h30m", "nan"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 90s, 15m, 2h or 7d"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON: Expecting"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 9 + "1" + "]" * 9, "nested too deeply: over 8 levels"),
        ("9" * 5000, "over 64 bits"),
        ('{"n": 123456789012345678901234567890}', "over 64 bits"),
        ("-9223372036854775809", "over 64 bits"),
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "1e999 is no number"),
        (r'["\ud83d"]', "half a letter"),
        (r'{"\ud83d": 1}', "half a letter"),
        ('["\udcff"]', "half a letter"),
    ],
)
def test_data_that_no_message_can_carry_is_refused_and_says_why(
    text: str, why: str
) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(why)):
        structured(text)


def test_all_other_data_is_read_as_it_is() -> None:
    text = r'{"a": [18446744073709551615, -9223372036854775808, 1.5, "\ud83d\ude00"]}'

    assert structured(text) == {"a": [2**64 - 1, -(2**63), 1.5, "\U0001f600"]}
    assert structured("[" * 8 + "]" * 8) == [[[[[[[[]]]]]]]]
