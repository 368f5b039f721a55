"""Every way to end, of every kind of client, whatever its broker is doing: the process
ends soon. `tests/client/test_exits.py` has the waits of the client for threads one by
one; here are both clients and the command line, by all ways at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo, Network, Saved
from ipcbus.transport import keys, launch
from tests.doors.cli.conftest import COMMAND, ROOT, environment
from tests.waiting import until

BOUND_S = 10.0
"""2 s on a quiet machine; on one where all of these run at once some more."""

SYNC = """
import gc, signal, sys, ipcbus
print("begun", flush=True)
bus = ipcbus.connect("dev", agent="alice", timeout=60, start=False)
bus.send("alice", "x")
print("ready", flush=True)
sys.stdin.readline()
ENDING
"""

ASYNC = """
import asyncio, gc, signal, sys, ipcbus
async def main():
    print("begun", flush=True)
    bus = await ipcbus.connect_async("dev", agent="alice", timeout=60, start=False)
    await bus.send("alice", "x")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ENDING
asyncio.run(main())
"""

FOR_EVER = "[AWAIT bus.receive(100, timeout=1) for _ in iter(int, 1)]"
TERM = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"


class Ending(NamedTuple):
    """What a program does in the end, which signal it gets then, and with which code it
    ends."""

    code: str
    number: signal.Signals | None = None
    exits: tuple[int, ...] = (0,)


ENDINGS = {
    "it is done": Ending("pass"),
    "sys.exit": Ending("sys.exit(0)"),
    "an exception": Ending("raise ValueError('as it should')", None, (1,)),
    "garbage": Ending("del bus; gc.collect()"),
    "sends under way": Ending("for n in range(500): bus.submit('alice', 'x')"),
    "close": Ending("AWAIT bus.close()"),
    "Ctrl-C": Ending(FOR_EVER, signal.SIGINT, (-signal.SIGINT, 130)),
    "SIGTERM": Ending(FOR_EVER, signal.SIGTERM, (-signal.SIGTERM,)),
    "SIGTERM to sys.exit": Ending(f"{TERM}; {FOR_EVER}", signal.SIGTERM),
}
KINDS = {
    "sync": SYNC.replace("AWAIT ", ""),
    "async": ASYNC,
}


class Program:
    """A process that says how far it is, and ends as `ending` says when told to."""

    def __init__(self, kind: str, ending: Ending) -> None:
        self.ending = ending
        await_ = "await " if kind == "async" else ""
        code = KINDS[kind].replace("ENDING", ending.code.replace("AWAIT ", await_))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stderr=subprocess.PIPE,
            text=True,
            **pipes,  # type: ignore[call-overload]
        )

    def says(self, word: str) -> None:
        said = self.process.stdout.readline()
        if said != f"{word}\n":
            pytest.fail(f"{said!r} and not {word}: {self.process.communicate()}")

    def ends(self) -> float:
        """Seconds that it takes."""
        begun = time.monotonic()
        if self.ending.number is not None:
            until(self._waits, "it is waiting")
            begun = time.monotonic()
            self.process.send_signal(self.ending.number)
        self.process.wait(BOUND_S)
        return time.monotonic() - begun

    def go(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def _waits(self) -> bool:
        """A signal that comes before its handler is there tells nothing."""
        mask = int(_status(self.process.pid, "SigCgt"), 16)
        handled = bool(mask >> (signal.SIGTERM - 1) & 1)
        return handled or TERM not in self.ending.code

    def close(self) -> tuple[int, str]:
        self.process.kill()
        _, err = self.process.communicate()
        return self.process.returncode, err


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return found


@contextlib.contextmanager
def programs(kind: str) -> Iterator[dict[str, Program]]:
    made = {name: Program(kind, ending) for name, ending in ENDINGS.items()}
    try:
        yield made
    finally:
        for program in made.values():
            program.close()


def _all_end(made: dict[str, Program]) -> float:
    """The longest that one takes."""
    took = {}
    for name, program in made.items():
        program.go()
        took[name] = program.ends()
        code, err = program.close()
        assert code in program.ending.exits, (name, code, err)
    return max(took.values())


Show = Callable[[str], None]
BREAK: dict[str, Callable[[Network, BrokerInfo], object]] = {
    "that serves": lambda network, info: None,
    "that is frozen": lambda network, info: os.kill(info.pid, signal.SIGSTOP),
    "that is gone": lambda network, info: launch.stop(network),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", BREAK)
def test_a_program_ends_by_each_way_with_a_broker(
    network: Network, broker: BrokerInfo, kind: str, broken: str, show: Show
) -> None:
    with ipcbus.connect("dev", agent="alice"), programs(kind) as made:
        for program in made.values():
            program.says("begun")
            program.says("ready")
        BREAK[broken](network, broker)
        try:
            longest = _all_end(made)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(broker.pid, signal.SIGCONT)
    show(f"{len(made)} ways to end, {kind}, a broker {broken}: {longest:.2f} s at most")


# --- nobody answers, from the beginning ------------------------------------------


@pytest.fixture
def mute(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network of another machine that takes connections and says nothing."""
    keys.create(network.key_path("alice"))
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        network.save(Saved(remote=endpoint, server_key=keys.generate().public))
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_still_waits_to_be_connected_ends(
    mute: None, kind: str, number: signal.Signals, show: Show
) -> None:
    program = Program(kind, Ending("pass", number, (-number, 130)))
    try:
        program.says("begun")
        until(lambda: _sockets(program.process.pid) > 0, "it tries to connect")
        took = program.ends()
    finally:
        code, err = program.close()
    assert code in program.ending.exits, err
    show(f"{number.name} while it connects, {kind}: {took:.2f} s")


def _sockets(pid: int) -> int:
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum("socket:" in str(link.readlink()) for link in links if link.is_symlink())


# --- the command line ------------------------------------------------------------

COMMANDS = {
    "wait": ("wait",),
    "watch": ("watch",),
    "ask": ("ask", "bob", "are you there?", "--timeout", "60s"),
    "call": ("call", "wait", '{"timeout_s": 50}'),
}


@contextlib.contextmanager
def commands(network: Network) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Each as an agent of its own, twice: for SIGINT and for SIGTERM."""
    made = {}
    try:
        for name, words in COMMANDS.items():
            for number in ("SIGINT", "SIGTERM"):
                who = environment({"IPCBUS_AGENT": f"{name}-{number}"})
                made[f"{name} {number}"] = subprocess.Popen(
                    [*COMMAND, *words, "--network", network.name],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=ROOT,
                    env=who,
                )
        yield made
    finally:
        for process in made.values():
            process.kill()
            process.communicate()


@pytest.mark.parametrize("broken", ["that serves", "that is frozen"])
def test_a_command_ends_by_each_signal_with_a_broker(
    network: Network, broker: BrokerInfo, broken: str, show: Show
) -> None:
    ipcbus.connect("dev", agent="bob").close()
    with commands(network) as made, ipcbus.connect("dev", agent="") as operator:
        until(lambda: _at_work(operator) == len(made), "all of them wait")
        BREAK[broken](network, broker)
        try:
            took = [_ended(name, process) for name, process in made.items()]
        finally:
            os.kill(broker.pid, signal.SIGCONT)
    show(f"{len(made)} commands, a broker {broken}: ended after {max(took):.2f} s")


def _at_work(operator: ipcbus.Client) -> int:
    return sum(agent.sessions for agent in operator.agents())


def _ended(name: str, process: subprocess.Popen[bytes]) -> float:
    number = signal.Signals[name.split()[1]]
    begun = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=BOUND_S)
    took = time.monotonic() - begun
    assert process.returncode in (0, 128 + number, -number), (name, out, err)
    assert b"Traceback" not in err, (name, err)
    return took
