"""Command lines whose bytes are not UTF-8: no command fails but in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ipcbus.doors.cli.commands import COMMANDS, TEXT, cli
from tests.doors.cli.conftest import Run

BYTES = os.fsdecode(b"\xff")
PLAIN = {"LANG": "C", "LC_ALL": "C", "IPCBUS_AGENT": "bob", "IPCBUS_NETWORK": "dev"}


def parameters(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from parameters(each)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_text_of_a_command_has_to_be_text(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None

    assert [p.name for p in parameters(command) if p.type is click.STRING] == []


def test_text_is_taken_and_other_bytes_are_not() -> None:
    assert TEXT.convert("Grüße 🎉", None, None) == "Grüße 🎉"
    with pytest.raises(click.BadParameter, match="not all of it is UTF-8"):
        TEXT.convert(BYTES, None, None)


@pytest.mark.parametrize(
    "line",
    [
        ["send", "bob", BYTES],
        ["send", BYTES, "hi"],
        ["send", "bob", "hi", "--thread", BYTES],
        ["send", "bob", "hi", "--label", BYTES],
        ["send", "bob", "hi", "--data", f'"{BYTES}"'],
        ["nack", "m1", "--reason", BYTES],
        ["show", BYTES],
        ["pause", BYTES],
        ["dead", "drop", BYTES],
        ["join", BYTES],
        ["revoke", BYTES],
        ["backup", BYTES],
        ["check", "--as", BYTES],
        ["check", "--network", BYTES],
        ["register", BYTES],
        [BYTES],
        [f"--{BYTES}"],
    ],
    ids=ascii,
)
def test_bytes_that_are_no_text_are_a_mistake_that_is_told(
    run: Run, bob: str, line: list[str]
) -> None:
    told, document = run(*line, env=PLAIN), run(*line, "--json", env=PLAIN)

    assert (told.code, told.out) == (2, "")
    assert "Traceback" not in told.err
    assert "ipcbus: " in told.err
    assert (document.code, document.err) == (2, "")
    assert document.json["error"]["message"]


def test_a_folder_may_have_any_name(run: Run, bob: str, tmp_path: Path) -> None:
    file = f"{tmp_path}/{BYTES}"
    Path(file).write_text("of that file")
    sent = run("send", bob, "--file", file, "--json", env=PLAIN).json["id"]

    shown = run("show", sent, "--out", f"{file}.out", env=PLAIN)
    ran = run("run", "--to", bob, "--", "cat", file, env=PLAIN)

    assert (shown.code, ran.code, ran.out) == (0, 0, "of that file")
    assert Path(f"{file}.out").read_text() == "of that file"
