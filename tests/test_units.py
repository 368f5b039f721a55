"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus import units


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("500ms", 500),
        ("90s", 90_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("15 m", 900_000),
    ],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert units.duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("300B", 300), ("10KiB", 10_240), ("64MiB", 67_108_864)],
)
def test_sizes(text: str, count: int) -> None:
    assert units.size_bytes(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "d",
        "-1s",
        "1.5h",
        "7D",
        "1h30m",
        "7  d",
        "7d ",
        "9" * 13 + "s",
        "\u0667d",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="90s, 2h or 7d"):
        units.duration_ms(text)


@pytest.mark.parametrize("text", ["64", "64MB", "64mib", "1K", "1e6B", "KiB"])
def test_what_is_no_size_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match="TiB, GiB, MiB, KiB, B"):
        units.size_bytes(text)


@given(st.integers(0, 10**12 - 1))
def test_what_is_shown_is_read_back(amount: int) -> None:
    assert units.duration_ms(units.show_duration(amount)) == amount
    assert units.size_bytes(units.show_size(amount)) == amount


def test_the_spelling_is_the_shortest() -> None:
    assert units.show_duration(7 * 24 * 3600 * 1000) == "7d"
    assert units.show_duration(36 * 3600 * 1000) == "36h"
    assert units.show_size(512 * 1024 * 1024) == "512MiB"
    assert units.show_size(0) == "0"
