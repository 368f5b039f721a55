"""Notifications on the desktop: by which program, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.notice.desktop import notify, program
from ipcbus.errors import UsageError


def put(folder: Path, name: str, script: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_program_of_the_desktop_is_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no program shows notifications"):
        program()

    apple = put(tmp_path, "osascript")
    assert program()[0] == str(apple)

    linux = put(tmp_path, "notify-send")
    assert program() == (str(linux), "--app-name=ipcbus", "--")


@pytest.mark.security
def test_a_text_is_an_argument_and_never_part_of_a_script(tmp_path: Path) -> None:
    told = tmp_path / "told"
    put(tmp_path, "osascript", f'for word in "$@"; do echo "[$word]"; done > {told}')
    text = '" & do shell script "id" & "$(id)'

    assert notify(program(), "ipcbus", text)

    *script, dashes, title, said = told.read_text().splitlines()
    assert (dashes, title, said) == ("[--]", "[ipcbus]", f"[{text}]")
    assert script == [
        *("[-e]", "[on run argv]"),
        "[-e]",
        "[display notification (item 2 of argv) with title (item 1 of argv)]",
        *("[-e]", "[end run]"),
    ]


def test_a_program_that_fails_or_is_gone_is_no_fault(tmp_path: Path) -> None:
    put(tmp_path, "notify-send", "exit 1")
    command = program()
    assert not notify(command, "ipcbus", "hi")

    (tmp_path / "notify-send").unlink()
    assert not notify(command, "ipcbus", "hi")
