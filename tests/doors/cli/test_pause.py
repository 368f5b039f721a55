"""`pause` and `resume`, and what `status` tells of them."""

from __future__ import annotations

import pytest

from ipcbus.adapters.budget import Account, Stopped
from ipcbus.adapters.ledger import Ledger
from ipcbus.networks import find
from tests.doors.cli.conftest import Call, Run, read

pytestmark = pytest.mark.usefixtures("broker")


def test_a_paused_network_delivers_when_it_is_resumed(
    run: Run, call: Call, bob: str
) -> None:
    assert call("pause") == {"network": "dev", "paused": True, "agents": []}
    call("send", bob, "later", agent="alice")
    told = run("check", "--json", agent=bob)
    assert (told.code, told.json["messages"], told.json["paused"]) == (3, [], True)
    assert "a person has paused deliveries" in run("check", agent=bob).out
    told = run("wait", "--timeout", "0", "--json", agent=bob)
    assert (told.code, told.json["paused"]) == (3, True)
    assert call("status")["paused"] == {"network": True, "agents": []}
    resumed = {"network": "dev", "paused": False, "agents": [], "lifted": []}
    assert call("resume") == resumed
    assert [message["body"] for message in read(run)] == ["later"]


def test_single_agents_are_paused_by_name_or_as_an_option(
    run: Run, call: Call, bob: str
) -> None:
    call("register", "carol")
    assert call("pause", bob, "--as", "carol")["agents"] == ["bob", "carol"]
    assert call("resume")["agents"] == ["bob", "carol"]
    assert "bob is paused until ipcbus resume bob" in run("resume", "carol").out
    call("send", "carol", "now", agent="alice")
    assert [message["body"] for message in read(run, "carol")] == ["now"]


def test_who_an_agent_is_does_not_narrow_what_is_paused(
    run: Run, call: Call, bob: str
) -> None:
    assert call("pause", agent=bob)["paused"] is True


def test_a_slip_in_one_name_changes_nothing(run: Run, call: Call, bob: str) -> None:
    result = run("pause", bob, "karol")
    assert result.code == 6
    assert call("status")["paused"]["agents"] == []


def test_people_read_what_is_paused(run: Run, bob: str) -> None:
    assert run("pause").out == (
        "dev is paused: nothing is delivered until ipcbus resume\n"
    )
    assert run("resume").out == "dev delivers\n"
    run("pause", bob)
    assert "paused" in run("status").out


def test_people_read_who_answers_whom(run: Run, call: Call, bob: str) -> None:
    for number in range(2):
        call("send", bob, f"a{number}", agent="alice")
        call("send", "alice", f"b{number}", agent=bob)
    assert "alice, bob  2 turns in the last minute" in run("status").out
    (row,) = call("status")["guards"]["rounds"]
    assert row == {"agents": ["alice", "bob"], "turns": 2, "until_ms": 0}


def test_a_model_that_a_bound_has_stopped_goes_on_when_it_is_resumed_by_name(
    run: Run, call: Call, bob: str
) -> None:
    ledger = Ledger(find("dev"), bob)

    def stop(account: Account) -> None:
        account.threads["t"] = 40
        account.stopped = Stopped("turns_per_thread", "40 answers", 0)

    ledger.change(stop)
    assert call("resume")["lifted"] == []
    assert ledger.read().stopped is not None
    assert (
        "bob was stopped by a bound of its own, and goes on" in run("resume", bob).out
    )
    assert ledger.read() == Account()
    assert call("resume", bob)["lifted"] == []
