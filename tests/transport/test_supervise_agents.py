"""Keeping agents running: real processes, with stand-ins for agents and brokers."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.config import AgentConfig
from ipcbus.networks import process
from ipcbus.transport import agents, launch
from tests.transport.supervised import Supervisor, supervisor


@pytest.fixture(autouse=True)
def _a_home(home: Path) -> None:
    """All of these make networks."""


def works(it: Supervisor, name: str = "bob@dev") -> int:
    """The pid of an agent that has said that it works."""
    found = re.search(r"pid (\d+)", it.until(note=name, says="works")["says"])
    assert found is not None
    return int(found[1])


def test_an_agent_is_started_when_its_network_is_there() -> None:
    with supervisor("bob@DEV=run", "dev=die,serve") as it:
        assert "with dev," in it.until(note="bob@DEV", says="works")["says"]


def test_it_gets_the_keys_of_who_runs_it_and_starts_no_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_PLATFORM_KEY", "sk-1")
    monkeypatch.setenv("IPCBUS_NETWORK", "far")
    monkeypatch.setenv("IPCBUS_AGENT", "somebody")
    with supervisor("bob@dev=run", "dev=serve") as it:
        said = it.until(note="bob@dev", says="works")["says"]
        assert said.endswith("['sk-1', 'dev', None], told --no-start")


def test_in_a_network_of_nobody_here_it_may_start_the_broker() -> None:
    networks.create("far")
    with supervisor("bob@far=run", "dev=serve") as it:
        said = it.until(note="bob@far", says="works")["says"]
        assert said.endswith("told ")


def test_a_signal_ends_the_agents_and_then_the_brokers(home: Path) -> None:
    with supervisor("bob@dev=run", "dev=serve") as it:
        pid = works(it)
        it.process.terminate()
        assert it.ends() == 0
    assert process.started(pid) is None
    assert (home / "bob.end").read_text() == "dev", "it was there to the last"
    assert not networks.find("dev").is_served()


@pytest.mark.chaos
def test_an_agent_that_is_killed_is_started_again() -> None:
    with supervisor("bob@dev=run", "dev=serve") as it:
        first = works(it)
        os.kill(first, signal.SIGKILL)
        said = it.until(note="bob@dev", says="again in")["says"]
        assert said.startswith("the agent ended (killed by SIGKILL); see /")
        assert "/dev/log/agent-bob.log" in said
        assert works(it) != first


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("die", r"no broker for dev; again in 0\.\d s"),
        ("bug", r"the agent ended \(exit code 1\): ZeroDivisionError: a bug; see /"),
        ("crash", r"the agent ended \(killed by SIGKILL\); see /"),
    ],
)
def test_one_that_dies_is_started_again_and_it_is_told_why(how: str, says: str) -> None:
    with supervisor(f"bob@dev={how},run", "dev=serve") as it:
        assert re.match(says, it.until(note="bob@dev", says="again in")["says"])
        works(it)


def test_one_whose_key_is_refused_is_given_up_and_all_others_run_on() -> None:
    with supervisor("bob@dev=key", "eve@dev=run", "dev=serve") as it:
        said = it.until(note="bob@dev")["says"]
        assert said == "given up: openai: there is no key"
        if not any(each.get("note") == "eve@dev" for each in it.said):
            works(it, "eve@dev")
        launch.stop(networks.find("dev"))
        assert it.ends() == 8


def test_one_that_was_told_to_end_is_not_started_again() -> None:
    with supervisor("bob@dev=run", "dev=serve") as it:
        os.kill(works(it), signal.SIGTERM)
        assert it.until(note="bob@dev")["says"] == "ended as it was told"


def test_what_is_no_document_is_passed_on_as_it_is() -> None:
    with supervisor("bob@dev=plain", "dev=serve") as it:
        for line in ("[1, 2]", "null", "loaded a plug-in"):
            assert it.until(note="bob@dev")["says"] == line
        works(it)


def test_a_network_that_nobody_knows_is_told_and_not_made() -> None:
    with supervisor("bob@devel=run", "dev=serve") as it:
        said = it.until(note="bob@devel")["says"]
        assert "devel: it is not in the configuration, and there is no network" in said
        assert [each.name for each in networks.networks()] == ["dev"]


def test_without_its_network_it_is_not_started() -> None:
    with supervisor("bob@dev=run", "dev=refuse") as it:
        said = it.until(note="bob@dev")["says"]
        assert said == "not started: dev is not served any more"
        assert it.ends() == 16


def test_it_is_the_command_that_a_person_would_give() -> None:
    agent = AgentConfig("bob", "dev", "echo", file=Path("/etc/ipcbus/bus.yaml"))
    assert agents.command(agent) == [
        *(sys.executable, "-P", "-m", "ipcbus", "agent"),
        *("--config", "/etc/ipcbus/bus.yaml", "--as", "bob", "--network", "dev"),
        "--json",
    ]
