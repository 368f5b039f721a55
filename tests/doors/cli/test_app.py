"""The table of commands, what a command imports, and how failures end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from ipcbus.doors.cli.commands import COMMANDS, cli
from tests.doors.cli.conftest import ROOT, Run


def leaves(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that lead to it."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(leaves(cli))
PARAMS = [pytest.param(command, id=" ".join(path)) for path, command in EVERY.items()]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_of_each_command_what_the_command_says(name: str) -> None:
    entry = COMMANDS[name]
    command = getattr(import_module(entry.module), name.replace("-", "_"))

    assert command.help.partition("\n")[0] == entry.help


@pytest.mark.parametrize("command", PARAMS)
def test_every_command_has_json_and_a_help(command: click.Command) -> None:
    names = [name for option in command.params for name in option.opts]

    assert "--json" in names
    assert command.help


@pytest.mark.parametrize("command", PARAMS)
def test_every_option_is_explained(command: click.Command) -> None:
    unexplained = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]

    assert unexplained == []


def imported_by(code: str, *, beyond: str = "") -> set[str]:
    """Modules that a fresh interpreter has after `code`, beyond those of its start and
    of what was run first."""
    script = f"{beyond}\nimport sys; before = set(sys.modules)\n{code}\n"
    script += "print(*sorted(set(sys.modules) - before), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.splitlines())


HEAVY = {
    "asyncio",
    "pydantic",
    "apsw",
    "sqlite3",
    "yaml",
    "importlib.metadata",
    "subprocess",
    "logging",
    "dataclasses",
    "concurrent.futures",
    "tempfile",
    "shutil",
    "socket",
    "ssl",
    "unittest",
    "ipcbus.config",
    "ipcbus.transport.launch",
}


@pytest.mark.parametrize("module", ["send", "check", "reply", "ask", "settle", "watch"])
def test_a_one_shot_command_imports_nothing_heavy(module: str) -> None:
    """Each of these costs more than the command itself."""
    found = imported_by(
        "import ipcbus.doors.cli.app, ipcbus.doors.cli.commands\n"
        f"import ipcbus.doors.cli.{module}"
    )

    assert found & HEAVY == set()


def test_a_command_imports_no_other_command() -> None:
    found = imported_by("import ipcbus.doors.cli.commands, ipcbus.doors.cli.send")

    rooms = {name for name in found if name.startswith("ipcbus.doors.cli.")}
    assert {name.rpartition(".")[2] for name in rooms} == {
        "body",
        "commands",
        "newcomers",
        "options",
        "output",
        "quick",
        "send",
        "sending",
        "session",
    }


def test_help_needs_no_command_and_no_zmq() -> None:
    found = imported_by(
        "from ipcbus.doors.cli.commands import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass"
    )

    assert "zmq" not in found
    assert not any("cli.send" in name for name in found)


def test_completing_a_name_needs_no_command_either() -> None:
    ctx = click.Context(cli)

    names = [item.value for item in cli.shell_complete(ctx, "re")]

    assert names == [
        "resume",
        "reply",
        "register",
        "rename",
        "revoke",
        "restore",
    ]


def test_a_mistyped_command_is_answered_with_near_ones(run: Run) -> None:
    done = run("chek")

    assert done.code == 2
    assert "Did you mean check?" in done.err


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("send",),
        ("send", "bob", "hi", "--nonsense"),
        ("send", "bob", "hi", "--priority", "12"),
        ("check", "--max", "none"),
        ("send", "bob", "hi"),  # nobody said who sends
    ],
)
def test_usage_errors_are_one_json_document(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args, "--json")

    assert done.code == 2
    assert done.json["error"]["code"] == "usage"
    assert done.json["error"]["message"]


def test_json_behind_two_dashes_is_text_and_no_option(run: Run) -> None:
    done = run("send", "bob", "--nonsense", "--", "--json")

    assert done.code == 2
    assert done.out == ""
    assert "--nonsense" in done.err


def test_no_network_says_how_to_start_one(run: Run) -> None:
    done = run("check", "--as", "bob")

    assert done.code == 4
    assert "ipcbus up --network" in done.err
    assert "Traceback" not in done.err


def test_an_error_in_json_has_its_facts(run: Run) -> None:
    done = run("check", "--as", "bob", "--network", "nowhere", "--json")

    assert done.code == 4
    assert done.json["error"]["code"] == "no_network"
    assert done.json["error"]["network"] == "nowhere"


@pytest.mark.security
@pytest.mark.parametrize(
    "args", [("\x1b[2J",), ("send", "--\x1b[2J"), ("check", "--max", "\x1b[2J")]
)
def test_nor_can_a_usage_error(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)

    assert done.code == 2
    assert "\x1b" not in done.err
    assert "Try: ipcbus" in done.err


@pytest.mark.security
def test_an_error_cannot_command_the_terminal(run: Run) -> None:
    done = run("check", "--as", "bob", "--network", "\x1b[2Jdev")

    assert done.code == 2
    assert "\x1b" not in done.err


def test_a_reader_that_left_ends_it_silently(home: object) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ipcbus", "version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert process.returncode == 141
    assert said == b""


def test_a_full_disk_behind_stdout_is_said(home: object) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "ipcbus", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,
        )

    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_version_is_the_packages(run: Run) -> None:
    from ipcbus.version import __version__

    assert run("version").out == f"ipcbus {__version__}\n"
    assert json.loads(run("version", "--json").out)["version"] == __version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell(run: Run, shell: str) -> None:
    done = run("completion", shell)

    assert done.code == 0
    assert "_IPCBUS_COMPLETE" in done.out


def test_the_shell_completes_commands(run: Run) -> None:
    done = run(
        env={
            "_IPCBUS_COMPLETE": "bash_complete",
            "COMP_WORDS": "ipcbus che",
            "COMP_CWORD": "1",
        }
    )

    assert done.out == "plain,check\n"
