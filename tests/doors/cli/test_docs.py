"""docs/cli.md and the commands say the same."""

from __future__ import annotations

import re
from functools import cache

import click
import pytest

from ipcbus.errors import BY_CODE
from tests.doors.cli.conftest import ROOT
from tests.doors.cli.test_app import EVERY

EVERYWHERE = {"--help", "-h", "--json", "--network", "-n", "--as"}
"""Explained once, at the top of the page."""


@cache
def sections() -> dict[str, str]:
    """The text below each heading of a command."""
    text = (ROOT / "docs" / "cli.md").read_text()
    parts = re.split(r"^#+ `ipcbus ([^`]+)`$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def top() -> str:
    return (ROOT / "docs" / "cli.md").read_text().partition("\n### ")[0]


def usage(path: tuple[str, ...], command: click.Command) -> str:
    """`send TO [BODY]...`: the words and arguments, as a heading has them."""
    ctx = click.Context(command)
    arguments = [
        piece
        for parameter in command.params
        if isinstance(parameter, click.Argument)
        for piece in parameter.get_usage_pieces(ctx)
    ]
    return " ".join([*path, *arguments])


USAGES = {usage(path, command): command for path, command in EVERY.items()}


def test_the_page_has_every_command_and_no_other() -> None:
    assert sorted(sections()) == sorted(USAGES)


@pytest.mark.parametrize("name", USAGES)
def test_the_page_has_every_option_and_no_other(name: str) -> None:
    wanted = {
        text
        for parameter in USAGES[name].params
        if isinstance(parameter, click.Option)
        for text in (*parameter.opts, *parameter.secondary_opts)
    }
    listed = re.findall(r"^\| (`.*?) \|", sections()[name], flags=re.MULTILINE)
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(listed)))

    assert documented == wanted - EVERYWHERE


def test_options_that_all_have_are_at_the_top() -> None:
    assert all(f"`{name}" in top() or f"{name} " in top() for name in EVERYWHERE)


@pytest.mark.parametrize("code", BY_CODE)
def test_the_page_has_every_error_with_its_exit_code(code: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()

    assert re.search(rf"^\| {BY_CODE[code].exit_code} \|.*`{code}`", text, re.MULTILINE)


@pytest.mark.parametrize("code", [0, 130, 141])
def test_the_page_has_the_other_exit_codes(code: int) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()

    assert re.search(rf"^\| {code} \|", text, re.MULTILINE)
