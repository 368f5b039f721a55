"""`ipcbus bridge claude-ipc`: detached, stopped, and what it refuses."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.networks import BrokerInfo
from tests.bridges.claude_ipc.old import HOST, Old
from tests.doors.cli.conftest import Call, Run

DOOR = ("bridge", "claude-ipc", "dev")


@pytest.fixture
def port() -> int:
    """A free one."""
    with socket.create_server((HOST, 0)) as sock:
        found: int = sock.getsockname()[1]
    return found


def test_it_runs_on_by_itself_until_it_is_stopped(
    run: Run, call: Call, broker: BrokerInfo, port: int, home: Path
) -> None:
    secret = {"IPC_SHARED_SECRET": "open sesame"}
    started = call(*DOOR, "--port", str(port), "--detach", env=secret)
    assert started["said"][-1] == f"claude-ipc ({HOST}:{port}) -> dev: running"
    assert not any("warning" in line for line in started["said"])
    assert "open sesame" not in Path(started["log"]).read_text()

    assert Old(port, "fred").register()["message"] == "Invalid auth token"
    assert Old(port, "fred", "open sesame").register()["status"] == "ok"
    mark = home / "networks" / "dev" / "claude-ipc" / f"door-{port}.json"
    assert mark.stat().st_mode & 0o777 == 0o600

    taken = run(*DOOR, "--port", str(port))
    assert taken.code == 11
    assert f"{HOST}:{port} is in use" in taken.err
    assert call("bridges", "stop", "claude-ipc", "dev") == {"ended": [started["pid"]]}
    assert not mark.exists()
    assert run("bridges", "stop", "claude-ipc", "dev").code == 4


def test_a_network_that_is_not_there_is_told(run: Run, network: object) -> None:
    assert run("bridge", "claude-ipc", "nowhere").code == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*DOOR, "--one-way"), "is for bridges between two networks"),
        ((*DOOR, "--allow", "a -> b"), "is for bridges between two networks"),
        ((*DOOR, "--port", "70000"), "70000"),
        ((*DOOR, "--rate", "-1"), "-1"),
        ((*DOOR, "--free", "no name"), "cannot be the name of an old instance"),
        (("bridge", "dev", "prod", "--port", "1"), "--port is for: ipcbus bridge clau"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, network: object, words: tuple[str, ...], said: str
) -> None:
    done = run(*words)
    assert done.code == 2
    assert said in done.err


def test_a_joined_network_has_its_door_where_its_owner_is(
    run: Run, network: networks.Network
) -> None:
    saved = network.saved()
    remote = saved._replace(remote="tcp://192.0.2.1:9", server_key="ab" * 32)
    network.save(remote)
    done = run(*DOOR)
    assert done.code == 2
    assert "another machine's" in done.err
    assert run("import", "claude-ipc").code == 2


def test_a_network_of_that_name_is_bridged(run: Run, network: object) -> None:
    networks.create("claude-ipc")
    done = run("bridge", "claude-ipc", "nowhere")
    assert done.code == 4
    assert "nowhere" in done.err


def test_a_volatile_network_is_told(call: Call, port: int, home: Path) -> None:
    call("up", "--network", "dev", "--store", "memory", "--detach")
    started = call(*DOOR, "--port", str(port), "--detach")
    assert "dev is volatile" in started["said"][0]
    call("bridges", "stop", "claude-ipc", "dev")
