"""The real `ipcbus`, run as processes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import keys
from tests import forks

RUN_S = 30.0
"""Seconds that any command may take here; far more than it does."""

COMMAND = (sys.executable, "-m", "ipcbus")
ROOT = Path(__file__).parents[3]


def environment(more: dict[str, str]) -> dict[str, str]:
    """As of a program that is installed: its modules are compiled once, not each
    time. Hundreds of processes are started here."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | more


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on its stdout."""
        return json.loads(self.out)


Run = Callable[..., Done]


def started(
    args: Sequence[str], *, stdin: bytes, **how: Any
) -> subprocess.CompletedProcess[bytes]:
    """A command run as a person's shell does it."""
    return subprocess.run([*COMMAND, *args], input=stdin, capture_output=True, **how)


@pytest.fixture
def quickest(_forks: None) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """How commands run here; `started` where it matters what they are started as."""
    return forks.run


@pytest.fixture
def run(home: Path, quickest: Callable[..., subprocess.CompletedProcess[bytes]]) -> Run:
    """Run a command line to its end: `run("send", "bob", "hi", agent="alice")`."""

    def run(
        *args: str,
        agent: str | None = None,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
    ) -> Done:
        who = {"IPCBUS_AGENT": agent} if agent else {}
        whole = environment(who | (env or {}))
        begin = quickest if forks.can(env or {}, stdin) else started
        done = begin(args, env=whole, cwd=ROOT, stdin=stdin, timeout=RUN_S)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def call(run: Run) -> Callable[..., Any]:
    """Run a command with --json that has to succeed; its document."""

    def call(*args: str, **options: Any) -> Any:
        done = run(*args, "--json", **options)
        assert done.code == 0, done
        return done.json

    return call


class Running:
    """A command that goes on, and what it says meanwhile."""

    def __init__(self, args: Sequence[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment(env),
        )
        self._read = b""

    def line(self) -> str:
        """Its next line of stdout."""
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + RUN_S
        while b"\n" not in self._read:
            ready, _, _ = select.select([fd], [], [], deadline - time.monotonic())
            assert ready, f"no line within {RUN_S} s"
            piece = os.read(fd, 65536)
            assert piece, f"it ended: {self.end()}"
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=RUN_S)
        text = (self._read + out).decode()
        return Done(self.process.returncode, text, err.decode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def begin(home: Path) -> Iterator[Callable[..., Running]]:
    """Start a command that goes on; it is ended with the test."""
    begun: list[Running] = []

    def begin(
        *args: str, agent: str | None = None, env: dict[str, str] | None = None
    ) -> Running:
        who = {"IPCBUS_AGENT": agent} if agent else {}
        begun.append(Running(args, who | (env or {})))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture
def bob(broker: BrokerInfo) -> str:
    """A recipient, in a network that a real broker serves."""
    ipcbus.connect("dev", agent="bob").close()
    return "bob"


@pytest.fixture
def prod(home: Path, serve: Callable[[Network], BrokerInfo]) -> BrokerInfo:
    """Another network, called prod, that a real broker serves."""
    return serve(networks.create("prod"))


class Bridged(NamedTuple):
    """A bridge that runs, and what it said until it did."""

    running: Running
    said: list[str]


@pytest.fixture
def bridge(
    broker: BrokerInfo, prod: BrokerInfo, begin: Callable[..., Running]
) -> Callable[..., Bridged]:
    """Run a bridge between dev and prod: `bridge("--allow", "a -> b")`."""

    def bridge(*options: str) -> Bridged:
        running = begin("bridge", "dev", "prod", "--json", *options)
        return Bridged(running, until_running(running, *options))

    return bridge


def until_running(running: Running, *options: str) -> list[str]:
    """What a bridge says (with --json) until all of its links run."""
    said: list[str] = []
    links = 1 if "--one-way" in options else 2
    while sum(line.endswith(": running") for line in said) < links:
        said.append(json.loads(running.line())["said"])
    return said


@pytest.fixture
def link(prod: BrokerInfo) -> None:
    """A link from dev to prod that no bridge serves."""
    make_link("dev", "prod")


def make_link(network: str, peer: str) -> None:
    """As a bridge does when it comes for the first time."""
    pair = keys.create(networks.find(network).key_path(f"@{peer}"))
    with ipcbus.connect(network, agent="") as operator:
        operator.call("link", peer, pair.public, "out")


def state(call: Call, network: str = "dev") -> dict[str, Any]:
    """The link out of `network`."""
    found = call("bridges", "status")["links"]
    (one,) = [link for link in found if link["network"] == network]
    return dict(one)


def findings(run: Run, *args: str) -> list[tuple[str, str, str]]:
    found = run("bridges", "check", *args, "--json").json["findings"]
    return [(each["link"], each["status"], each["finding"]) for each in found]


def read(run: Run, agent: str = "bob", *args: str) -> list[dict[str, Any]]:
    """The messages that `check` prints for `agent`."""
    done = run("check", *args, "--json", agent=agent)
    assert done.code in (0, 3), done
    messages: list[dict[str, Any]] = done.json["messages"]
    return messages


Call = Callable[..., Any]
Begin = Callable[..., Running]
Bridge = Callable[..., Bridged]
