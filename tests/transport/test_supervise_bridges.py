"""Keeping bridges running: real processes, with stand-ins for what they bridge."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.config import BridgeConfig
from ipcbus.networks import Saved, process
from ipcbus.transport import bridging, launch
from tests.transport.supervised import Supervisor, supervisor

DEV_PROD = ("dev=serve", "prod=serve")


@pytest.fixture(autouse=True)
def _a_home(home: Path) -> None:
    """All of these make networks."""


def works(it: Supervisor, name: str = "b") -> int:
    """The pid of a bridge that has said that it works."""
    found = re.search(r"pid (\d+)", it.until(note=name, says="works")["says"])
    assert found is not None
    return int(found[1])


def test_a_bridge_is_started_when_its_networks_are_there() -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        assert it.until(note="b")["says"].endswith("with dev prod")


def test_names_of_its_networks_are_compared_as_names_are() -> None:
    with supervisor("b:DEV+Prod=run", *DEV_PROD) as it:
        assert it.until(note="b")["says"].endswith("with dev prod")


def test_it_waits_for_a_network_that_does_not_come_up_at_once() -> None:
    with supervisor("b:dev+prod=run", "dev=serve", "prod=die,die,serve") as it:
        it.until(note="prod", says="again in")
        assert it.until(note="b")["says"].endswith("with dev prod")


def test_a_network_that_another_broker_serves_is_there() -> None:
    network = networks.create("dev")
    standin = str(Path(__file__).parent / "standin.py")
    launch.start(network, command=lambda _: [sys.executable, standin, "serve", "dev"])
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        it.until(note="dev", says="waiting for that one to end")
        works(it)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_bridges_and_then_the_brokers(
    home: Path, how: signal.Signals
) -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        pid = works(it)
        it.process.send_signal(how)
        assert it.ends() == 0
    assert process.started(pid) is None
    assert (home / "b.end").read_text() == "dev prod", "they were there to the last"
    assert not any(each.is_served() for each in networks.networks())


def test_a_bridge_that_does_not_listen_is_killed() -> None:
    with supervisor("b:dev+prod=deaf", *DEV_PROD, grace=0.4) as it:
        pid = works(it)
        it.process.terminate()
        assert it.ends() == 0
    assert process.started(pid) is None


@pytest.mark.chaos
def test_a_bridge_ends_with_a_supervisor_that_is_killed() -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        fds = [os.pidfd_open(pid) for pid in (works(it), _pid("dev"), _pid("prod"))]
        it.process.kill()
        for fd in fds:
            ended, _, _ = select.select([fd], [], [], 10)
            os.close(fd)
            assert ended


@pytest.mark.chaos
def test_a_bridge_that_is_killed_is_started_again() -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        first = works(it)
        os.kill(first, signal.SIGKILL)
        said = it.until(note="b", says="again in")["says"]
        assert said.startswith("the bridge ended (killed by SIGKILL); see /")
        assert "log/bridge-prod.log" in said
        assert works(it) != first


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("die", r"nothing came; again in 0\.\d s"),
        ("bug", r"the bridge ended \(exit code 1\): ZeroDivisionError: a bug; see /"),
        ("crash", r"the bridge ended \(killed by SIGKILL\); see /"),
        ("busy", r"prod is served by process 7; again in"),
    ],
)
def test_one_that_dies_is_started_again_and_it_is_told_why(how: str, says: str) -> None:
    with supervisor(f"b:dev+prod={how},{how},run", *DEV_PROD) as it:
        for _ in range(2):
            assert re.match(says, it.until(note="b", says="again in")["says"])
        works(it)


def test_what_no_restart_mends_is_given_up_and_all_others_run_on() -> None:
    bridges = ("b:dev+prod=refuse", "c:dev+far=run")
    networks.create("far")
    with supervisor(*bridges, *DEV_PROD) as it:
        said = it.until(note="b")["says"]
        assert said == r"given up: rules.yaml: rules.ci (line 3): no\such"
        if not any(each.get("note") == "c" for each in it.said):
            works(it, "c")
        assert networks.find("prod").is_served()
        for name in ("dev", "prod"):
            launch.stop(networks.find(name))
        assert it.ends() == 2


def test_one_that_ends_without_a_word_is_given_up_with_its_exit_code() -> None:
    with supervisor("b:dev+prod=gone", *DEV_PROD) as it:
        said = it.until(note="b", says="given up")["says"]
        assert "the bridge ended (exit code 2); see" in said


def test_a_bridge_that_was_told_to_end_is_not_started_again() -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        os.kill(works(it), signal.SIGTERM)
        assert it.until(note="b")["says"] == "ended as it was told"
        assert networks.find("dev").is_served()


def test_what_it_says_is_passed_on_to_the_last_word() -> None:
    with supervisor("b:dev+prod=half", *DEV_PROD) as it:
        works(it)
        assert it.until(note="b")["says"] == "and th\ufffd"
        assert it.until(note="b")["says"].startswith("the bridge ended (exit code 3)")


# --- networks that are not, or no longer, served here --------------------------------


def test_networks_that_are_not_in_the_file_are_not_waited_for() -> None:
    far = networks.create("far")
    far.save(Saved(remote="tcp://far:1", server_key="ab" * 32))
    networks.create("near")
    with supervisor("b:near+far=run", "dev=mute") as it:
        works(it)


def test_a_network_that_nobody_knows_is_told_and_looked_for_again() -> None:
    with supervisor("b:dev+devel=run", "dev=serve") as it:
        said = it.until(note="b")["says"]
        assert "devel: it is not in the configuration, and there is no network" in said
        assert "near: dev; join it with an invitation" in said
        assert "again in" in said
        networks.create("devel")
        works(it)


def test_a_log_that_cannot_be_opened_is_told() -> None:
    log = networks.create("dev").folder / "log" / "bridge-prod.log"
    log.mkdir()
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        assert "cannot be opened" in it.until(note="b", says="again in")["says"]
        log.rmdir()
        works(it)


def test_without_its_network_a_bridge_is_not_started_and_others_are() -> None:
    bridges = ("b:dev+prod=run", "c:prod+test=run")
    with supervisor(*bridges, "dev=refuse", "prod=serve", "test=serve") as it:
        works(it, "c")
        if not any(each.get("note") == "b" for each in it.said):
            it.until(note="b")
        [said] = [each["says"] for each in it.said if each.get("note") == "b"]
        assert said == "not started: dev is not served any more"


def test_when_all_its_networks_were_told_to_end_a_bridge_ends_too() -> None:
    with supervisor("b:dev+prod=run", *DEV_PROD) as it:
        pid = works(it)
        launch.stop(networks.find("dev"))
        it.until(note="dev", says="as it was told")
        assert process.started(pid) is not None
        launch.stop(networks.find("prod"))
        assert it.ends() == 0
    assert process.started(pid) is None


def test_a_bridge_between_networks_of_others_is_a_reason_to_go_on() -> None:
    for name in ("near", "far"):
        networks.create(name)
    with supervisor("b:near+far=run") as it:
        os.kill(works(it), signal.SIGTERM)
        assert it.ends() == 0


# --- what is run ---------------------------------------------------------------------


def test_it_is_the_command_that_a_person_would_give() -> None:
    rules = Path("/etc/ipcbus/rules.yaml")
    plain = bridging.command(BridgeConfig("b", ("dev", "prod")))
    program = [sys.executable, "-P", "-m", "ipcbus", "bridge", "dev", "prod"]
    assert plain == [*program, "--no-start"], "brokers are the supervisor's to start"
    full = bridging.command(BridgeConfig("b", ("dev", "prod"), rules, one_way=True))
    assert full == [*plain, "--rules", str(rules), "--one-way"]


def _pid(network: str) -> int:
    info = networks.find(network).broker_info()
    assert info is not None
    return info.pid
