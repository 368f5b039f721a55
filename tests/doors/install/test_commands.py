"""The command lines that are written into settings, and how ours are told."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcbus.doors.install.commands import Who, is_our_hook, is_our_server, who
from ipcbus.errors import UsageError
from tests.doors.install.conftest import WHO

ODD = Who(("/my tools/it's/ipcbus",), WHO.options, "/a home/$x")


def test_a_hook_names_the_event_the_network_and_who_it_is() -> None:
    line = WHO.hook("claude", "Stop")
    assert line == "/opt/ipcbus hook claude Stop --network dev --as ann"


def test_a_shell_takes_odd_paths_as_they_are(tmp_path: Path) -> None:
    program = tmp_path / 'it\'s a "folder" & more' / "ipcbus"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s|" "$IPCBUS_HOME" "$@"\n')
    program.chmod(0o700)
    line = Who((str(program),), WHO.options, "/a home/é").hook("codex", "Stop")
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    wanted = "/a home/é|hook|codex|Stop|--network|dev|--as|ann|"
    assert done.stdout.decode() == wanted


def test_a_server_is_started_without_a_shell() -> None:
    args = ["mcp", "--network", "dev", "--as", "ann"]
    assert WHO.server() == {"command": "/opt/ipcbus", "args": args}
    assert ODD.server()["command"] == "/my tools/it's/ipcbus"
    assert ODD.server()["env"] == {"IPCBUS_HOME": "/a home/$x"}
    module = WHO._replace(program=("/usr/bin/python3", "-m", "ipcbus"))
    assert module.server()["args"] == ["-m", "ipcbus", *args]


def test_a_home_of_ones_own_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCBUS_HOME", "/srv/bus")
    assert who("dev", "ann").home == "/srv/bus"
    monkeypatch.delenv("IPCBUS_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert who("dev", "ann").home == "/srv/state/ipcbus"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert who("dev", "ann").home is None


def test_the_program_is_named_by_a_whole_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "ipcbus"
    program.touch(0o700)
    monkeypatch.setattr(sys, "argv", [str(program), "install"])
    assert who("dev", "ann").program == (str(program),)
    program.chmod(0o600)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = (str(tmp_path / "python"), "-m", "ipcbus")
    assert who("dev", "ann").program == found


@pytest.mark.parametrize("name", ["a$b", "a\nb", "a\x1bb"])
def test_a_path_that_settings_cannot_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`$b` would be read as a variable by two of the tools."""
    monkeypatch.setenv("IPCBUS_HOME", f"/srv/{name}")
    with pytest.raises(UsageError, match="cannot be written into settings"):
        who("dev", "ann")


# --- telling ours ------------------------------------------------------------


@pytest.mark.parametrize(
    "program", [("ipcbus",), ("/a b/ipcbus",), ("/usr/bin/python3", "-m", "ipcbus")]
)
@pytest.mark.parametrize("home", [None, "/srv/a bus"])
def test_what_is_written_is_known_again(
    program: tuple[str, ...], home: str | None
) -> None:
    made = Who(program, WHO.options, home)
    handler = {"type": "command", "command": made.hook("claude", "Stop")}
    assert is_our_hook(handler, "claude")
    assert not is_our_hook(handler, "gemini")
    assert is_our_server(made.server())


@pytest.mark.parametrize(
    "handler",
    [
        {"command": "echo ipcbus hook claude Stop"},
        {"command": "ipcbus hook claude Stop && beep"},
        {"command": "ipcbus hook claude Stop | tee log"},
        {"command": "ipcbus hook claude $(beep)"},
        {"command": "ipcbus hook claude"},
        {"command": "ipcbus send bob hi"},
        {"command": "my-ipcbus hook claude Stop"},
        {"command": "ipcbus 'hook claude Stop"},
        {"command": ["ipcbus", "hook", "claude", "Stop"]},
        {"command": ""},
        {"type": "http"},
        "ipcbus hook claude Stop",
        None,
    ],
)
def test_a_line_that_is_more_than_ours_or_less_is_somebody_elses(handler: Any) -> None:
    assert not is_our_hook(handler, "claude")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"command": "ipcbus"},
        {"command": "ipcbus", "args": "mcp"},
        {"command": ["ipcbus"], "args": ["mcp"]},
        {"command": "ipcbus", "args": ["serve"]},
        {"command": "uvx", "args": ["ipcbus", "mcp"]},
        {"url": "https://example.org/ipcbus"},
    ],
)
def test_another_server_is_somebody_elses(entry: Any) -> None:
    assert not is_our_server(entry)


def test_the_shell_words_of_a_hook_are_what_was_meant() -> None:
    words = shlex.split(ODD.hook("gemini", "AfterTool"))
    assert words[0] == "IPCBUS_HOME=/a home/$x"
    assert words[1:4] == ["/my tools/it's/ipcbus", "hook", "gemini"]
