"""`hook ... wait`: an idle session is woken by mail, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.doors.notice.memory import Memory, end
from ipcbus.networks import BrokerInfo, Network, process
from tests.doors.cli.conftest import (
    COMMAND,
    ROOT,
    Begin,
    Done,
    Run,
    Running,
    environment,
)
from tests.doors.cli.hooks import hooks, send, waiting
from tests.waiting import until

LINE = ("hook", "claude", "wait", "--session", "s-1")
TUI = {"CLAUDE_CODE_ENTRYPOINT": "cli"}
"""A Claude Code with a person before it."""

Wait = Callable[..., Running]
Event = Callable[[str], Done]


@pytest.fixture
def wait(begin: Begin, network: Network) -> Wait:
    """The waiter of a session, once it waits."""

    def wait(*more: str) -> Running:
        running = begin(*LINE, *more, agent="bob", env=TUI)
        until(lambda: waits(network, running.process.pid))
        return running

    return wait


@pytest.fixture
def event(run: Run) -> Event:
    """An event of the same session."""
    hook = hooks(run)
    return lambda name: hook("claude", name)


def waits(network: Network, pid: int, tool: str = "claude") -> bool:
    waiter = Memory(network, tool, "bob", "s-1").read().waiter
    return waiter is not None and waiter.pid == pid


@pytest.mark.usefixtures("bob")
def test_mail_wakes_an_idle_session_and_is_acked_when_that_has_answered(
    wait: Wait, event: Event
) -> None:
    running = wait()
    send("the build is red")

    done = running.end()

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("ipcbus: 1 new message for bob in dev. ")
    assert done.err.endswith("\n| the build is red\n")
    assert waiting() == 1

    assert event("UserPromptSubmit").out == ""
    assert event("Stop").out == ""
    assert waiting() == 0


@pytest.mark.usefixtures("bob")
def test_a_second_waiter_of_a_session_ends_at_once(wait: Wait, run: Run) -> None:
    first = wait()

    assert run(*LINE, agent="bob", env=TUI) == (0, "", "")

    assert first.process.poll() is None
    other = ("hook", "claude", "wait", "--session", "s-2", "--timeout", "1ms")
    assert run(*other, agent="bob", env={"IPCBUS_WAIT": "1"}) == (0, "", "")


@pytest.mark.usefixtures("bob")
def test_the_end_of_a_session_ends_its_waiter(wait: Wait, event: Event) -> None:
    running = wait()

    event("SessionEnd")

    assert running.end() == (0, "", "")


@pytest.mark.usefixtures("bob")
def test_a_waiter_ends_when_nobody_reads_what_it_says(network: Network) -> None:
    """Its CLI was killed: there was no time for a last event."""
    with subprocess.Popen(
        [*COMMAND, *LINE],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment({"IPCBUS_AGENT": "bob", **TUI}),
        cwd=ROOT,
    ) as waiter:
        until(lambda: waits(network, waiter.pid))
        assert waiter.stderr is not None
        waiter.stderr.close()

        assert waiter.wait(30) == 0


# --- Codex ---------------------------------------------------------------------


CLI = """
import subprocess, sys
done = subprocess.run(sys.argv[1:], input=b'{"session_id": "s-1"}', capture_output=True)
print(done.returncode, done.stdout, done.stderr, flush=True)
sys.stdin.read()
"""
"""Stands in for Codex: runs its hook, and then has a person in front of it."""

CODEX = """#!/bin/sh
for word in "$@"; do echo "$word"; done >> "$RECORD"
echo end >> "$RECORD"
"""


@pytest.fixture
def codex(
    tmp_path: Path, broker: BrokerInfo, bob: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A Codex whose session has begun; what its program was told is in `record`."""
    put_codex(tmp_path)
    path = f"{tmp_path}:{os.environ['PATH']}"
    record = {"PATH": path, "RECORD": str(tmp_path / "record"), "IPCBUS_AGENT": bob}
    hook = (*COMMAND, "hook", "codex", "SessionStart", "--patience", "20s")
    with subprocess.Popen(
        [sys.executable, "-c", CLI, *hook],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(record),
        cwd=ROOT,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"0 b'' b''\n"
        yield running
        running.kill()
    until(lambda: not _waiter_lives())


def _waiter_lives() -> bool:
    waiter = Memory(networks.find("dev"), "codex", "bob", "s-1").read().waiter
    return waiter is not None and process.is_same(*waiter)


@pytest.mark.usefixtures("codex")
def test_an_idle_session_of_codex_gets_a_turn_that_names_no_text_of_a_peer(
    tmp_path: Path,
) -> None:
    record = tmp_path / "record"
    send("secret of alice")
    until(lambda: "end" in told(record))

    assert told(record) == [
        *("queue", "--thread", "s-1", "--message"),
        "ipcbus: 1 new message for bob in dev.",
        "end",
    ]
    assert waiting() == 1


def test_the_waiter_of_codex_ends_with_it(codex: subprocess.Popen[bytes]) -> None:
    until(_waiter_lives)

    codex.kill()

    until(lambda: not _waiter_lives())


def test_another_session_in_the_same_codex_takes_the_place_of_the_first(
    network: Network, begin: Begin, broker: BrokerInfo, bob: str, tmp_path: Path
) -> None:
    """`/new`: nobody looks at the first one any more."""
    pid = os.getpid()
    start = process.started(pid)
    put_codex(tmp_path)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RECORD": str(tmp_path / "r")}
    parent = f"{pid}:{start}:{process.boot_id()}"
    line = ("hook", "codex", "wait", "--session", "s-1", "--parent", parent)
    first = begin(*line, agent=bob, env=env)
    until(lambda: waits(network, first.process.pid, "codex"))

    second = subprocess.run(
        [*COMMAND, "hook", "codex", "SessionStart", "--patience", "20s"],
        input=b'{"session_id": "s-2"}',
        env=environment({**env, "IPCBUS_AGENT": bob}),
        cwd=ROOT,
        timeout=30,
        check=True,
    )

    assert second.returncode == 0
    assert first.end() == (0, "", "")
    memory = Memory(network, "codex", bob, "s-2")
    until(lambda: memory.read().waiter is not None)
    end(memory.read().waiter)


def put_codex(folder: Path) -> None:
    program = folder / "codex"
    program.write_text(CODEX)
    program.chmod(0o755)


def told(record: Path) -> list[str]:
    return record.read_text().splitlines() if record.exists() else []
