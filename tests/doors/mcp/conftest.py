"""Real MCP servers and the SDK's own client, in both eras and over both wires.

A server takes most of a second to start, so those that are alike share one, for all
tests of a module. Where the SDK is not installed its tests are left out, and one test
says so; in CI they fail.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

import ipcbus
from ipcbus import Client, networks
from ipcbus.errors import NoBroker
from ipcbus.networks import Saved
from ipcbus.transport import launch
from tests.conftest import IN_CI

HAS_SDK = find_spec("mcp") is not None

if not HAS_SDK and not IN_CI:
    collect_ignore_glob = ["test_[!m]*.py"]  # all but test_missing.py

Peer = Callable[..., Client]


@pytest.fixture(scope="module")
def bus() -> Iterator[Path]:
    """An IPCBUS_HOME that the tests of a module share."""
    folder = Path(tempfile.mkdtemp(prefix="ib-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCBUS_HOME", str(folder))
        patch.delenv("IPCBUS_NETWORK", raising=False)
        patch.delenv("IPCBUS_AGENT", raising=False)
        # Agents that answer each other hundreds of times are what is tested here.
        quiet = dict.fromkeys(("guard_pair", "guard_thread", "guard_repeats"), 0)
        networks.create("dev").save(Saved(settings=quiet))
        try:
            yield folder
        finally:
            for network in networks.networks():
                with suppress(NoBroker):
                    launch.stop(network, timeout=10.0, force=True)
            shutil.rmtree(folder)


@pytest.fixture
def at_home(
    bus: Path, monkeypatch: pytest.MonkeyPatch, _no_test_uses_the_real_home: None
) -> None:
    """What this process does on the bus, it does there too."""
    monkeypatch.setenv("IPCBUS_HOME", str(bus))


@pytest.fixture
def peer(at_home: None) -> Iterator[Peer]:
    """Another agent, without MCP: `peer("bob")`, `peer("bob", "prod")`."""
    clients: list[Client] = []

    def connected(name: str, network: str = "dev") -> Client:
        clients.append(ipcbus.connect(network, agent=name))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


def quiet_environment() -> dict[str, str]:
    """Of the servers: nothing that a developer may have set."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
