"""`run`: a command of the caller's own, and what its reader is told of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

import ipcbus
from ipcbus import Client
from ipcbus.doors.cli.run import carry_out, message_of
from ipcbus.doors.text import LONG, size
from ipcbus.errors import StoreFull
from tests.doors.cli.conftest import Begin, Run, read

LONG_OUTPUT = "print('first'); [print(n) for n in range(9000)]; print('last')"


def run_for(run: Run, bob: str, *command: str, options: tuple[str, ...] = ()) -> Any:
    return run("run", "--to", bob, *options, "--", *command, agent="alice")


def test_the_caller_sees_the_output_and_gets_the_exit_code(run: Run, bob: str) -> None:
    done = run_for(run, bob, "sh", "-c", "echo out; echo err >&2; exit 3")

    assert done.code == 3
    assert done.out == "out\n"
    assert done.err.startswith("err\nipcbus: exit code 3, told bob: ")


def test_the_reader_gets_output_exit_code_and_command(run: Run, bob: str) -> None:
    run_for(run, bob, "sh", "-c", "echo 'all is well'", options=("--thread", "builds"))

    (message,) = read(run)
    first, second, _, *output = message["body"].splitlines()
    assert first == """$ sh -c 'echo '"'"'all is well'"'"''"""
    assert second.startswith("exit code 0 after 0.")
    assert output == ["all is well"]
    assert message["from"] == "alice"
    assert message["thread"] == "builds"
    data = message["data"]
    assert data["command"] == ["sh", "-c", "echo 'all is well'"]
    assert (data["exit_code"], 0 < data["duration_s"] < 30) == (0, True)


def test_no_shell_reads_the_command_and_its_options_are_its_own(
    run: Run, bob: str
) -> None:
    script = "import sys; print(sys.argv[1:])"
    words = ("--json", "--to", "eve", "$HOME; echo *", "a'b")
    done = run_for(run, bob, sys.executable, "-c", script, *words)

    assert done.out == f"{list(words)}\n"


def test_of_a_long_output_both_ends_are_shown_and_all_is_attached(
    run: Run, bob: str, tmp_path: Path
) -> None:
    done = run_for(run, bob, sys.executable, "-c", LONG_OUTPUT)

    (message,) = read(run)
    body = message["body"]
    assert len(body.encode()) <= LONG
    assert body.splitlines()[3] == "first"
    assert body.endswith("\nlast\n")
    whole = f"{size(len(done.out))} in all; the whole is attached as output.txt"
    assert whole in body
    assert message["data"]["output_bytes"] == len(done.out)
    (attached,) = message["attachments"]
    assert (attached["name"], attached["size"]) == ("output.txt", len(done.out))
    with ipcbus.connect("dev", agent="bob") as client:
        rows = client.show(message["id"]).header.attachments
        assert rows
        (row,) = rows
        found = client.download(ipcbus.Attachment(*row), tmp_path / "found")
    assert found.read_text() == done.out


def test_an_output_just_short_enough_goes_whole(run: Run, bob: str) -> None:
    run_for(run, bob, sys.executable, "-c", f"print('z' * {LONG - 200})")
    run_for(run, bob, sys.executable, "-c", f"print('z' * {LONG})")

    short, long = read(run)
    assert "z" * (LONG - 200) in short["body"]
    assert not short.get("attachments")
    assert long["attachments"]
    assert len(long["body"].encode()) <= LONG


def test_with_json_the_output_goes_to_stderr_and_one_document_to_stdout(
    run: Run, bob: str
) -> None:
    done = run_for(run, bob, "sh", "-c", "echo out; kill -9 $$", options=("--json",))

    assert done.code == 137
    assert done.err == "out\n"
    assert done.json["to"] == "bob"
    assert done.json["exit_code"] == 137
    (message,) = read(run)
    assert message["id"] == done.json["id"]
    assert message["data"]["exit_code"] == 137


def test_a_command_that_cannot_be_run_is_told_and_nothing_is_sent(
    run: Run, bob: str
) -> None:
    done = run_for(run, bob, "/no/such/program")

    assert done.code == 2
    assert "cannot run /no/such/program: No such file or directory" in done.err
    assert read(run) == []


def test_nothing_is_run_if_nobody_could_be_told(run: Run, home: Path) -> None:
    mark = home / "mark"
    done = run("run", "--to", "bob", "--network", "nowhere", "--", "touch", str(mark))
    bad = run("run", "--to", "b o b", "--", "touch", str(mark), agent="alice")

    assert (done.code, bad.code) == (2, 2)
    assert not mark.exists()


def test_a_report_that_nobody_takes_is_an_error(run: Run, bob: str) -> None:
    done = run_for(run, "nobody", "echo", "hello")

    assert done.out == "hello\n"
    assert done.code == 6


def test_what_runs_on_in_the_background_is_not_waited_for(run: Run, bob: str) -> None:
    """It holds the pipe open; the test would take half a minute."""
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '30'])\n"
        "print(child.pid, flush=True)"
    )
    done = run_for(run, bob, sys.executable, "-c", script)

    assert done.code == 0
    os.kill(int(done.out), signal.SIGKILL)
    (message,) = read(run)
    assert done.out in message["body"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_for_the_command_and_its_end_is_told(
    begin: Begin, run: Run, bob: str, number: signal.Signals
) -> None:
    script = (
        "import signal, sys\n"
        "for each in (1, 2, 15):\n"
        "    signal.signal(each, lambda number, _: sys.exit(40 + number))\n"
        "print('ready', flush=True)\n"
        "signal.pause()"
    )
    running = begin(
        *("run", "--to", bob, "--", sys.executable, "-c", script), agent="alice"
    )
    assert running.line() == "ready"
    running.signal(number)

    assert running.end().code == 40 + number
    (message,) = read(run)
    assert message["data"]["exit_code"] == 40 + number


def test_a_caller_that_stops_reading_does_not_stop_the_command(
    begin: Begin, run: Run, bob: str
) -> None:
    script = "for n in range(20_000): print(n)"
    running = begin(
        *("run", "--to", bob, "--", sys.executable, "-c", script), agent="alice"
    )
    assert running.line() == "0"
    assert running.process.stdout is not None
    running.process.stdout.close()

    assert running.process.wait(20) == 0
    (message,) = read(run)
    assert message["body"].endswith("\n19999\n")


class Refusing(Client):
    """A client of a network that has no room for an attachment."""

    def __init__(self) -> None:
        pass

    def __del__(self) -> None:
        pass

    def upload(self, *source: Any, **options: Any) -> ipcbus.Attachment:
        raise StoreFull(network="dev")


def told(script: str) -> dict[str, Any]:
    """The message that a network without room is sent of a command's output."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with NamedTemporaryFile() as file:
            outcome = carry_out([sys.executable, "-c", script], file, nowhere)
            return message_of(Refusing(), outcome, file)
    finally:
        os.close(nowhere)


def test_what_the_network_has_no_room_for_is_still_told_by_its_ends() -> None:
    message = told(LONG_OUTPUT)

    assert "it could not be attached: the store of dev is full" in message["body"]
    assert "\nfirst\n" in message["body"]
    assert message["body"].endswith("\nlast\n")
    assert message.keys() == {"body", "data"}


@pytest.mark.parametrize("count", [10, 4000, 40_000])
def test_output_that_is_no_text_is_told_as_far_as_it_is(count: int) -> None:
    """Each byte that is no text takes three in the message."""
    message = told(f"import os; os.write(1, b'a\\xff' * {count})")

    assert "a\N{REPLACEMENT CHARACTER}a" in message["body"]
    assert len(message["body"].encode()) <= LONG
    assert ("output_bytes" in message["data"]) == (count > 10)
