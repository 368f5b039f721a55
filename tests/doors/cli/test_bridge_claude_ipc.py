"""`ipcbus bridge claude-ipc`: detached, stopped, and what it refuses."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ipcbus import networks
from ipcbus.networks import BrokerInfo
from tests.bridges.claude_ipc.old import HOST, Old
from tests.doors.cli.conftest import Call, Run
from tests.waiting import until

DOOR = ("bridge", "claude-ipc", "dev")


def port_of(started: dict[str, Any]) -> int:
    """Of a door that was told to take a free one; its last word must tell it."""
    where, _, now = started["said"][-1].partition(") -> dev: ")
    assert now == "running"
    return int(where.removeprefix(f"claude-ipc ({HOST}:"))


def test_it_runs_on_by_itself_until_it_is_stopped(
    run: Run, call: Call, broker: BrokerInfo, home: Path
) -> None:
    secret = {"IPC_SHARED_SECRET": "open sesame"}
    more = ("--limit", "session_time=7d", "--limit", "connections=500")
    started = call(*DOOR, "--port", "0", "--detach", *more, env=secret)
    port = port_of(started)
    assert started["said"][0] == "limits: connections=500, session_time=7d"
    assert not any("warning" in line for line in started["said"])
    assert "open sesame" not in Path(started["log"]).read_text()

    assert Old(port, "fred").register()["message"] == "Invalid auth token"
    assert Old(port, "fred", "open sesame").register()["status"] == "ok"
    mark = home / "networks" / "dev" / "claude-ipc" / f"door-{port}.json"
    assert mark.stat().st_mode & 0o777 == 0o600

    taken = run(*DOOR, "--port", str(port))
    assert taken.code == 11
    assert f"{HOST}:{port} is in use" in taken.err
    (shown,) = call("bridges", "status")["doors"]
    assert shown == {
        "door": "claude-ipc",
        "network": "dev",
        "port": port,
        "pid": started["pid"],
        "running": True,
    }
    assert call("bridges", "stop", "claude-ipc", "dev") == {"ended": [started["pid"]]}
    assert not mark.exists()
    assert run("bridges", "stop", "claude-ipc", "dev").code == 4
    assert run("bridges", "status", "--json").json["doors"] == []


def test_one_that_was_killed_is_told_by_the_status(
    run: Run, call: Call, broker: BrokerInfo
) -> None:
    started = call(*DOOR, "--port", "0", "--detach")
    pid, port = started["pid"], port_of(started)
    place = f"claude-ipc ({HOST}:{port}) -> dev"
    said = run("bridges", "status")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{place}: running (pid {pid})\n"

    os.kill(pid, signal.SIGKILL)
    killed = f"{place}: not running: it was killed (pid {pid})"
    until(lambda: killed in run("bridges", "status").out)
    (one,) = call("bridges", "status", "claude-ipc", "dev")["doors"]
    assert (one["port"], one["pid"], one["running"]) == (port, pid, False)
    assert run("bridges", "stop", "claude-ipc", "dev").code == 4  # and forgets it
    assert run("bridges", "status").out == "no links\n"


def test_a_network_that_is_not_there_is_told(run: Run, network: object) -> None:
    assert run("bridge", "claude-ipc", "nowhere").code == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*DOOR, "--one-way"), "is for bridges between two networks"),
        ((*DOOR, "--allow", "a -> b"), "is for bridges between two networks"),
        ((*DOOR, "--port", "70000"), "70000"),
        ((*DOOR, "--rate", "-1"), "-1"),
        ((*DOOR, "--limit", "size=1"), "KEY is one of request_size, request_time"),
        ((*DOOR, "--limit", "answer_size=1MiB"), "not from 16KiB to 65000B"),
        (("bridge", "a", "b", "--limit", "x=1"), "--limit is for: ipcbus bridge cl"),
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


def test_a_volatile_network_is_told(call: Call, home: Path) -> None:
    call("up", "--network", "dev", "--store", "memory", "--detach")
    started = call(*DOOR, "--port", "0", "--detach")
    assert "dev is volatile" in started["said"][0]
    call("bridges", "stop", "claude-ipc", "dev")
