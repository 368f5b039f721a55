"""Keeping networks served: real processes, with stand-ins for the brokers."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcbus import errors, networks
from ipcbus.broker.settings import Settings
from ipcbus.config import NetworkConfig
from ipcbus.errors import AlreadyServing, UsageError
from ipcbus.networks import Saved, process
from ipcbus.transport import launch, restarts, supervise
from tests.transport.supervised import Supervisor, supervisor

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _a_home(home: Path) -> None:
    """All of these make networks."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_all_networks_are_served_until_a_signal_and_then_none_is(
    how: signal.Signals,
) -> None:
    with supervisor("dev=serve", "prod=serve") as it:
        pids = {said["ready"]: said["pid"] for said in (_ready(it), _ready(it))}
        assert set(pids) == {"dev", "prod"}
        assert networks.find("prod").is_served()
        it.process.send_signal(how)
        assert it.ends() == 0
    assert not any(process.started(pid) for pid in pids.values())
    assert not networks.find("dev").is_served()


@pytest.mark.chaos
def test_a_broker_that_is_killed_is_started_again() -> None:
    with supervisor("dev=serve") as it:
        first = _ready(it)["pid"]
        os.kill(first, signal.SIGKILL)
        assert "killed by SIGKILL" in it.until(note="dev")["says"]
        assert _ready(it)["pid"] != first


@pytest.mark.chaos
def test_real_brokers_are_kept_and_ended(home: Path) -> None:
    with supervisor("dev=real", "prod=real") as it:
        pids = {said["ready"]: said["pid"] for said in (_ready(it), _ready(it))}
        os.kill(pids["dev"], signal.SIGKILL)
        assert it.until(ready="dev")["pid"] != pids["dev"]
        assert process.started(pids["prod"]) is not None
        it.process.terminate()
        assert it.ends() == 0
    assert not any(each.is_served() for each in networks.networks())


def test_a_broker_that_dies_before_it_is_ready_is_started_again() -> None:
    with supervisor("dev=die,die,serve") as it:
        first = it.until(note="dev")
        assert "ended before it was ready" in first["says"]
        assert "again in" in first["says"]
        it.until(ready="dev")


def test_a_broker_that_was_told_to_end_is_not_started_again() -> None:
    with supervisor("dev=serve") as it:
        it.until(ready="dev")
        launch.stop(networks.find("dev"))
        it.until(note="dev", says="as it was told")
        assert it.ends() == 0


def test_what_no_restart_mends_is_given_up_and_the_others_run_on() -> None:
    with supervisor("dev=refuse", "prod=serve") as it:
        assert "page 3 is torn" in it.until(note="dev", says="given up")["says"]
        if not any("ready" in said for said in it.said):
            it.until(ready="prod")
        assert networks.find("prod").is_served()
        launch.stop(networks.find("prod"))
        assert it.ends() == errors.DamagedDatabase.exit_code


def test_a_port_in_use_is_tried_again_but_not_for_ever() -> None:
    with supervisor("dev=port") as it:
        it.until(note="dev", says="given up")
        assert len(it.said) == restarts.PORT_TRIES
        assert it.ends() == errors.PortInUse.exit_code


def test_any_port_means_any_and_not_the_last_one_if_that_is_taken() -> None:
    with supervisor("dev=port,serve") as it:
        it.until(note="dev", says="again in")
        it.until(ready="dev")
        assert networks.find("dev").saved().port == 0


def test_a_broker_that_cannot_even_be_started_is_tried_again() -> None:
    networks.create("dev").log.mkdir()
    with supervisor("dev=serve") as it:
        it.until(note="dev", says="cannot be opened")
        networks.find("dev").log.rmdir()
        it.until(ready="dev")


def test_a_network_that_another_serves_is_waited_for() -> None:
    network = networks.create("dev")
    launch.start(network, command=lambda net: _standin(net.name))
    with supervisor("dev=serve") as it:
        it.until(note="dev", says="waiting for that one to end")
        launch.stop(network)
        it.until(ready="dev")


@pytest.mark.chaos
def test_children_end_with_a_supervisor_that_is_killed() -> None:
    with supervisor("dev=serve") as it:
        pid = it.until(ready="dev")["pid"]
        fd = os.pidfd_open(pid)
        it.process.kill()
        ended, _, _ = select.select([fd], [], [], 10)
        os.close(fd)
        assert ended
    assert not networks.find("dev").is_served()


def test_a_child_that_does_not_listen_is_killed() -> None:
    with supervisor("dev=deaf", grace=0.2) as it:
        pid = it.until(ready="dev")["pid"]
        it.process.terminate()
        assert it.ends() == 0
    assert process.started(pid) is None


# --- setting up ----------------------------------------------------------------------


def test_what_is_configured_is_what_later_brokers_get() -> None:
    wanted = NetworkConfig("dev", port=9876, settings=Settings(rate=7))
    network, saved = supervise.set_up(wanted)
    assert network.saved() == saved == Saved(port=9876, settings={"rate": 7})


def test_a_network_that_is_served_keeps_its_store() -> None:
    network = networks.create("dev")
    launch.start(network)
    with pytest.raises(AlreadyServing):
        supervise.set_up(NetworkConfig("dev", store="memory"))
    assert network.saved().store == "durable"
    launch.stop(network)
    supervise.set_up(NetworkConfig("dev", store="memory"))
    assert network.is_volatile()


def test_a_network_that_another_machine_serves_is_not_served_here() -> None:
    network = networks.create("dev")
    network.save(Saved(remote="tcp://far:1", server_key="ab" * 32))
    with pytest.raises(UsageError, match="tcp://far:1"):
        supervise.set_up(NetworkConfig("dev"))


def _ready(it: Supervisor) -> dict[str, Any]:
    return it.until(ready="")


def _standin(name: str) -> list[str]:
    return [sys.executable, str(HERE / "standin.py"), "serve", name]
