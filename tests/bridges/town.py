"""Two networks and the bridge between them, as real processes.

The people who live there are in `tests.bridges.faults.neighbours`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ipcbus
from ipcbus import networks
from ipcbus.errors import NoBroker
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.faults.crew import BOUND_S, PROJECT, alive
from tests.waiting import until

DEV, PROD = "dev", "prod"
THERE, BACK = "dev -> prod", "prod -> dev"
"""The two links of the bridge, as it calls them."""

GOODBYE_S = 10.0

UNGUARDED = dict.fromkeys(("guard_pair", "guard_thread", "guard_repeats"), 0)
"""People who write to each other all the time are what a loop guard stops."""

BRIDGE = """
from pathlib import PosixPath
from ipcbus_bridges.runner import run
run({a!r}, {b!r}, **{options!r})
"""


class Home:
    """An IPCBUS_HOME: what a machine is to ipcbus.

    Attributes:
        prefix: what runs a command there, when it is not this machine.
    """

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.prefix = list(prefix)

    def network(self, name: str) -> Network:
        with self.inside():
            return networks.create(name)

    def start(self, network: Network, **saved: Any) -> None:
        """Have it served, here, as `saved` says; without the loop guard if that is all
        that it says."""
        was = network.saved()
        settings = {**UNGUARDED, **was.settings, **saved.pop("settings", {})}
        network.save(was._replace(settings=settings, **saved))
        launch.start(network, command=lambda n: [*self.prefix, *launch.command(n)])

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What this process asks of ipcbus is asked in this home."""
        before = os.environ.get("IPCBUS_HOME")
        os.environ["IPCBUS_HOME"] = str(self.folder)
        try:
            yield
        finally:
            os.environ.pop("IPCBUS_HOME")
            if before is not None:
                os.environ["IPCBUS_HOME"] = before

    def run(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        """A Python process there."""
        path = f"{PROJECT}{os.pathsep}{PROJECT / 'bridges'}"
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-u", *map(str, arguments)],
            env={
                **os.environ,
                "PYTHONPATH": path,
                "IPCBUS_HOME": str(self.folder),
            },
            **options,
        )


@contextlib.contextmanager
def new_home(prefix: Sequence[str] = ()) -> Iterator[Home]:
    """A home in a folder of its own; its brokers end with it."""
    folder = Path(tempfile.mkdtemp(prefix="ib-", dir="/tmp"))
    home = Home(folder, prefix)
    try:
        yield home
    finally:
        with home.inside():
            for network in networks.networks():
                with contextlib.suppress(NoBroker):
                    launch.stop(network, force=True)
        shutil.rmtree(folder)


class Bridge:
    """One bridge process. `program` stands for the one that the product has."""

    _count = 0

    def __init__(
        self,
        home: Home,
        folder: Path,
        *program: object,
        networks: tuple[str, str] = (DEV, PROD),
        **options: Any,
    ) -> None:
        Bridge._count += 1
        self._log = folder / f"bridge-{Bridge._count}.log"
        a, b = networks
        code = ("-c", BRIDGE.format(a=a, b=b, options=options))
        with self._log.open("wb") as log:
            command = program or code
            self.process = home.run(*command, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> list[str]:
        """What it has said so far."""
        return self._log.read_text().splitlines()

    def state(self, way: str) -> str:
        """What it said last of a link; "" if nothing yet."""
        said = [line for line in self.lines() if line.startswith(f"{way}: ")]
        return said[-1].removeprefix(f"{way}: ") if said else ""

    def runs(self, *ways: str) -> None:
        """Wait until its links carry."""
        for way in ways or (THERE, BACK):
            self.says(way, "running")

    def says(self, way: str, state: str, bound: float = BOUND_S) -> None:
        """Wait until it says that a link is in a state."""
        try:
            until(lambda: self.state(way).startswith(state), f"{way}: {state}", bound)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.lines()}") from None

    def dies(self, bound: float = 30.0) -> None:
        """Wait for the SIGKILL that it gives itself."""
        assert self.process.wait(bound) == -signal.SIGKILL, self.lines()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to end, as an owner does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(GOODBYE_S) == 0, self.lines()


@contextlib.contextmanager
def bridge(
    home: Home, folder: Path, *program: object, **options: Any
) -> Iterator[Bridge]:
    made = Bridge(home, folder, *program, **options)
    try:
        yield made
    finally:
        made.kill()


def link(home: Home, network: str, peer: str) -> dict[str, Any]:
    """What a network says of its link to `peer`."""
    with home.inside(), ipcbus.connect(network, agent="", timeout=30) as operator:
        rows = operator.call("links")[0]
    return next(row for row in rows if row["peer"] == peer)


def reported(home: Home, network: str = DEV, peer: str = PROD) -> dict[str, Any]:
    """What the leading bridge said last of the way out of `network`."""
    said = link(home, network, peer)["out"]
    return said or {}


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def passes(seconds: float) -> None:
    """A time that must pass because it is what a test is about."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, f"{seconds} s pass", seconds + BOUND_S)


def kill_serving(network: Network) -> None:
    """kill -9 of the broker."""
    info = alive(network)
    assert info is not None
    os.kill(info.pid, signal.SIGKILL)
