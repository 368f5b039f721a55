"""Durations, as people and scripts spell them."""

from __future__ import annotations

import click
import pytest

from ipcbus.doors.cli.options import duration


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
