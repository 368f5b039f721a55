"""A volatile network on the command line: it says so, and hides no mail."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ipcbus import doctor, networks
from ipcbus.networks import VOLATILE
from tests.doors.cli.conftest import Begin, Call, Run, read, until_running
from tests.waiting import until

UP = ("up", "--network", "scratch", "--store", "memory")


def test_it_carries_mail_and_says_what_it_is(run: Run, call: Call) -> None:
    assert f"network scratch is {VOLATILE}\n" in run(*UP, "--detach").out
    call("register", "bob")
    sent = call("send", "bob", "hi", agent="alice")
    assert sent["state"] == "accepted"

    status = run("status")
    assert status.out.startswith(f"scratch is {VOLATILE}\n")
    found = call("status")
    assert (found["volatile"], found["store"]["engine"]) == (True, "memory")
    assert f"scratch is {VOLATILE}" in run("networks").out
    assert [each["volatile"] for each in call("networks")["networks"]] == [True]
    assert VOLATILE in _settings("scratch")

    call("check", "--no-ack", agent="bob")
    call("ack", sent["id"], agent="bob")
    assert run("check", agent="bob").code == 3
    assert "its messages are gone" in run("down").out


def test_a_durable_one_says_so_too(call: Call, bob: str) -> None:
    assert call("status")["volatile"] is False
    assert [each["volatile"] for each in call("networks")["networks"]] == [False]


def test_after_kill_9_the_next_client_finds_names_and_no_mail(
    run: Run, call: Call
) -> None:
    pid = call(*UP, "--detach")["pid"]
    call("register", "bob")
    call("send", "bob", "lost", agent="alice")
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not networks.find("scratch").is_served())
    os.close(fd)

    assert run("check", agent="bob").code == 3, "it starts the next broker"
    found = call("status")
    assert (found["volatile"], found["epoch"], found["agents"]) == (True, 2, 2)
    call("send", "bob", "not lost", agent="alice")
    assert [m["body"] for m in read(run)] == ["not lost"]


def test_it_stays_what_it_is_until_somebody_says_otherwise(
    run: Run, call: Call
) -> None:
    call(*UP, "--detach")
    for args in (("up", "--detach"), (*UP, "--detach")):
        assert call(*args)["volatile"] is True
    for more in (("--detach",), ()):
        done = run("up", "-n", "scratch", "--store", "durable", *more, "--json")
        assert (done.code, done.json["error"]["code"]) == (2, "usage")
        assert "stop it first (ipcbus down" in done.json["error"]["message"]
    call("register", "bob")
    call("down")

    assert call("up", "-n", "scratch", "--store", "durable", "--detach") == {
        **call("up", "--detach"),
        "volatile": False,
    }
    assert [each["name"] for each in call("agents")["agents"]] == ["bob"]


def test_a_network_with_mail_is_not_made_volatile(
    run: Run, call: Call, bob: str
) -> None:
    sent = call("send", bob, "kept", agent="alice")
    done = run("up", "-n", "dev", "--store", "memory", "--detach", "--json")
    assert done.code == 2, "a broker serves it"
    call("down")
    for args in (("--detach",), ()):
        done = run("up", "-n", "dev", "--store", "memory", *args, "--json")
        assert (done.code, done.json["error"]["code"]) == (2, "usage")
        assert "1 waiting" in done.json["error"]["message"]
    assert [m["id"] for m in read(run)] == [sent["id"]], "it is durable as before"
    call("down")

    done = run("up", "-n", "dev", "--store", "memory", "--detach")
    assert done.code == 0
    assert "settled messages of dev (1) stay on disk" in done.err
    assert run("history").code == 3
    call("down")
    call("up", "-n", "dev", "--store", "durable", "--detach")
    assert [m["id"] for m in call("history")["messages"]] == [sent["id"]]


def test_one_that_was_edited_by_hand_is_found_by_the_doctor(
    run: Run, call: Call, bob: str
) -> None:
    call("send", bob, "kept", agent="alice")
    call("down")
    network = networks.find("dev")
    network.save(network.saved()._replace(store="memory"))

    done = run("send", bob, "another", "--json", agent="alice")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    [row] = [r for r in call_doctor(run) if r["name"] == "dev: database"]
    assert (row["status"], row["mend"]) == (
        "bad",
        "ipcbus up --network dev --store durable",
    )
    assert run(*row["mend"].split()[1:], "--detach").code == 0
    assert [m["body"] for m in read(run)] == ["kept"]


def test_it_is_neither_backed_up_nor_restored(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    call("backup", str(file))
    call(*UP, "--detach")
    done = run("backup", str(tmp_path / "other"), "-n", "scratch", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "volatile" in done.json["error"]["message"]
    assert not (tmp_path / "other").exists()
    call("down", "-n", "scratch")
    done = run("restore", str(file), "-n", "scratch", "--replace", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "volatile" in done.json["error"]["message"]


def test_a_configuration_says_which_networks_are_volatile(
    call: Call, run: Run, begin: Begin, tmp_path: Path
) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("networks:\n  dev:\n  scratch: {store: memory}\n")
    both = begin("up", "--config", str(file), "--json")
    ready = [json.loads(both.line()) for _ in range(2)]
    assert {each["network"]: each["volatile"] for each in ready} == {
        "dev": False,
        "scratch": True,
    }
    both.signal(signal.SIGINT)
    assert both.end().code == 0

    call("send", "bob", "kept", "--future", "-n", "dev", agent="alice")
    call("down", "--all")
    file.write_text("networks:\n  dev: {store: memory}\n")
    done = run("up", "--config", str(file), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert networks.find("dev").saved().store == "durable"


@pytest.mark.parametrize("volatile", ["dev", "prod"])
def test_a_bridge_says_that_one_end_is_volatile_and_carries(
    call: Call, run: Run, begin: Begin, volatile: str
) -> None:
    for name in ("dev", "prod"):
        store = "memory" if name == volatile else "durable"
        call("up", "-n", name, "--store", store, "--detach")
    call("register", "bob", "-n", "prod")
    running = begin("bridge", "dev", "prod", "--json")
    said = until_running(running)

    told = [
        line for line in said if line.endswith(f"{VOLATILE}, those of this bridge too")
    ]
    assert told == [f"{volatile} is {VOLATILE}, those of this bridge too"]
    call("send", "bob@prod", "hi", "--wait", "relayed", "-n", "dev", agent="alice")
    pid = call("status", "-n", volatile)["pid"]
    os.kill(pid, signal.SIGKILL)
    call("send", "bob@prod", "again", "--wait", "relayed", "-n", "dev", agent="alice")
    found = call("wait", "--timeout", "20", "-n", "prod", agent="bob")["messages"]
    bodies = [message["body"] for message in found]
    assert bodies == (["again"] if volatile == "prod" else ["hi", "again"])


def call_doctor(run: Run) -> list[dict[str, str]]:
    found: list[dict[str, str]] = run("doctor", "--json").json["findings"]
    return found


def _settings(name: str) -> str:
    rows = doctor.examine_network(networks.find(name))
    return next(row.finding for row in rows if row.name == f"{name}: settings")
