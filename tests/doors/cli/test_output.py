"""What peers wrote cannot command a terminal, and writing fails loudly."""

from __future__ import annotations

import io
import json
import sys

import pytest

from ipcbus.doors.cli import output
from ipcbus.doors.text import age, safe, safe_line, size
from ipcbus.errors import IpcbusError

ESCAPES = [
    "\x1b[2J\x1b[H",  # clear the screen
    "\x1b]0;title\x07",  # set the title
    "\x1b]52;c;aGFjaw==\x07",  # write the clipboard
    "\x9b31m",  # the same as ESC [, as one letter
    "\r",
    "\x08\x08",
    "\x7f",
    "\x00",
    "\u202e",  # turns the rest of the line around
    "\u2066",
    "\u2028",
    "\u200b",
    "\ufeff",
    "\U000e0041",  # a tag: seen by models, not by people
    "\ud800",
]


@pytest.mark.security
@pytest.mark.parametrize("escape", ESCAPES)
def test_control_characters_are_shown_and_not_obeyed(escape: str) -> None:
    shown = safe(f"before{escape}after")

    assert escape not in shown
    assert all(letter.isprintable() for letter in shown)
    assert shown.startswith("before\\")
    assert shown == safe_line(f"before{escape}after")


def test_a_text_keeps_its_lines_and_tabs() -> None:
    assert safe("a\n\tb") == "a\n\tb"


def test_what_must_be_one_line_stays_one_line() -> None:
    assert safe_line("a\nb\tc") == "a\\nb\\tc"


def test_other_languages_and_emoji_are_left_alone() -> None:
    text = "Grüße, 日本語, שלום, family \U0001f468\u200d\U0001f469\u200d\U0001f467"

    assert safe(text) == text


@pytest.mark.security
@pytest.mark.parametrize("escape", ESCAPES)
def test_json_is_ascii_without_control_characters(escape: str) -> None:
    text = output.to_json({"body": escape})

    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {"body": escape}


class _Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_behind_stdout_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "abandon_stdout", lambda: None)
    monkeypatch.setattr(sys, "stdout", _Full())

    with pytest.raises(IpcbusError, match="No space left"):
        output.write("x")


def test_a_closed_stdout_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(IpcbusError, match="stdout is closed"):
        output.write("x")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", _Terminal())
    assert output.paint("x", "bold") == "\x1b[1mx\x1b[0m"

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.paint("x", "bold") == "x"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_declined(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.setenv(name, value)

    assert output.paint("x", "bold") == "x"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "now"),
        (0.4, "now"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (90_000, "1 d ago"),
    ],
)
def test_age_is_told_in_the_largest_unit(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (300 * 1024**2, "300.0 MiB")],
)
def test_sizes_are_rounded(count: int, shown: str) -> None:
    assert size(count) == shown


def test_cells_of_a_table_cannot_break_its_rows() -> None:
    assert list(output.table(("name", "n"), [("a\x1b[1m\nb", 1)])) == [
        "name         n",
        "a\\x1b[1m\\nb  1",
    ]


def test_maps_are_shown_as_indented_pairs() -> None:
    assert list(output.pairs({"epoch": 3, "boxes": {"bob\x07": 1}})) == [
        "epoch  3",
        "boxes",
        "  bob\\x07  1",
    ]
