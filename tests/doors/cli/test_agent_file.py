"""`agent --config`, and `up --config` with agents: what stands in a file serves."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from tests.doors.cli.conftest import RUN_S, Begin, Run
from tests.examples import ROOT
from tests.waiting import until

SCRIPTED = ROOT / "configs" / "scripted.yaml"

TEXT = """
networks:
  dev: {agent_limits: {tokens_per_day: 1}}
agents:
  clerk:
    adapter: script
    options: {file: answers/clerk.yaml}
  spender:
    adapter: echo
  spender@prod:
    adapter: echo
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "clerk.yaml").write_text("default: stamped")
    path = tmp_path / "bus.yaml"
    path.write_text(TEXT)
    return path


def test_one_of_a_file_serves_and_finds_what_lies_beside_it(
    begin: Begin, file: Path, home: Path
) -> None:
    agent = begin("agent", "--config", str(file), "--as", "clerk", "--json")
    assert json.loads(agent.line())["said"] == "clerk serves dev by script"
    with ipcbus.connect("dev", agent="alice") as alice:
        assert alice.ask("clerk", "my form", timeout=RUN_S).body == "stamped"


def test_what_a_network_may_spend_holds_for_each_of_its_agents(
    begin: Begin, file: Path, home: Path
) -> None:
    agent = begin("agent", "--config", str(file), "--as", "clerk", "--json")
    agent.line()
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.ask("clerk", "my form", timeout=RUN_S)
        alice.send("clerk", "another one")
        [told] = alice.receive(1, timeout=RUN_S)
        told.ack()
    assert "2 tokens today" in str(told.body)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "which agent of"),
        (("--as", "bob"), 2, "no agent bob, only: clerk@dev, spender@dev, spender@p"),
        (("--as", "spender"), 2, "spender of which network? Say --network: dev or p"),
        (("--as", "clerk", "--model", "x"), 2, "leave --model out"),
        (("--as", "clerk", "--network-limit", "x=1"), 2, "leave --network-limit out"),
        (("--as", "clerk", "cat"), 2, "leave COMMAND out"),
        (("--as", "clerk", "--no-start"), 4, "no broker serves dev"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_started(
    run: Run, file: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = run("agent", "--config", str(file), *words)
    assert done.code == code, done
    assert says in done.err
    assert not any(each.is_served() for each in networks.networks())


def test_networks_bridge_and_agents_of_a_file_work_together(
    begin: Begin, run: Run, home: Path
) -> None:
    """Also when the broker was killed, which is the supervisor's to start again."""
    up = begin("up", "--config", str(SCRIPTED))
    pids = [_pid(up.line()), _pid(up.line())]
    with ipcbus.connect("dev", agent="me", start=False) as me:
        until(lambda: _is_there("dev", "planner"), "the planner", RUN_S)
        until(lambda: _is_there("prod", "builder"), "the builder", RUN_S)
        until(lambda: _links(run) == ["running", "running"], "the bridge", RUN_S)
        for number in (1, 2):
            answer = me.ask("planner", f"release {number}?", timeout=RUN_S)
            assert "All 42 of them pass" in str(answer.body)
            if number == 1:
                os.kill(pids[0], signal.SIGKILL)
                assert _pid(up.line()) not in pids
    up.signal(signal.SIGTERM)
    assert up.end().code == 0
    assert not any(each.is_served() for each in networks.networks())


def _pid(line: str) -> int:
    assert " is up at " in line, line
    return int(line.rpartition("pid ")[2].rstrip(")\n"))


def _is_there(network: str, name: str) -> bool:
    with ipcbus.connect(network, agent="") as operator:
        return any(each.name == name and each.sessions for each in operator.agents())


def _links(run: Run) -> list[str]:
    """Their states; at first there are none, which ends the command with 3."""
    return [row["state"] for row in run("bridges", "status", "--json").json["links"]]
