"""Programs of others at a real broker, with a model that says what a test wants."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus import Client, networks
from ipcbus.errors import NoBroker
from ipcbus.networks import BrokerInfo
from ipcbus.transport import launch
from tests.clis.script import Turn
from tests.clis.seats import Seat, seated
from tests.waiting import until

Sit = Callable[..., Seat]


@pytest.fixture
def user_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without settings. Codex keeps sockets in it, so its path is short.

    All that was started in it must end with what started it, our waiters and servers
    too. A program that loses IPCBUS_HOME on its way to us starts a broker in there.
    """
    folder = Path(tempfile.mkdtemp(prefix="ic-", dir="/tmp"))
    try:
        yield folder
        until(lambda: not living(folder), f"the end of {living(folder)}")
    finally:
        monkeypatch.setenv("IPCBUS_HOME", str(folder / ".local/state/ipcbus"))
        strays = networks.networks()
        for stray in strays:
            with suppress(NoBroker):
                launch.stop(stray, timeout=10.0, force=True)
        shutil.rmtree(folder, ignore_errors=True)
        assert not strays, "a program did not hand IPCBUS_HOME on"


def living(home: Path) -> dict[int, str]:
    """The command lines of processes that have this home; brokers outlive all."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            theirs = (process / "environ").read_bytes().split(b"\0")
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended, or is another user's
        if b"HOME=%s" % bytes(home) in theirs and "ipcbus.transport" not in line:
            found[int(process.name)] = line
    return found


@pytest.fixture
def sit(user_home: Path, broker: BrokerInfo) -> Iterator[Sit]:
    """Set a program up: `sit("claude", Call("status", {}), Say("done"))`."""
    with ExitStack() as stack:

        def sit(name: str, *script: Turn, **options: Any) -> Seat:
            with ipcbus.connect("dev", agent=name):
                pass  # so that mail can be sent to it before it is there
            seat = seated(name, user_home, *script, **options)
            return stack.enter_context(seat)

        yield sit


@pytest.fixture
def bob(broker: BrokerInfo) -> Iterator[Client]:
    """Another agent of the network."""
    with ipcbus.connect("dev", agent="bob") as client:
        yield client
