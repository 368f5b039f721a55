"""`up`, `down`, `status`, `networks`: brokers begin and end."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import Begin, Call, Run


def test_a_broker_in_the_foreground_says_one_line_and_ends_on_ctrl_c(
    run: Run, begin: Begin
) -> None:
    broker = begin("up", "--network", "dev", "--port", "0", "--json")
    found = json.loads(broker.line())

    assert set(found) == {"network", "endpoint", "pid", "volatile"}
    assert found["network"] == "dev"
    assert found["pid"] == broker.process.pid
    assert run("status", "--json").json["pid"] == found["pid"]

    broker.signal(signal.SIGINT)
    assert broker.end()[:2] == (0, "")
    assert run("status").code == 4


def test_a_port_that_was_chosen_is_kept(call: Call, begin: Begin) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first = call("up", "--network", "dev", "--port", str(port), "--detach")
    call("down")
    again = call("up", "--network", "dev", "--detach")

    assert first["endpoint"] == again["endpoint"] == f"tcp://127.0.0.1:{port}"


def test_a_second_broker_is_refused(run: Run, broker: BrokerInfo) -> None:
    done = run("up", "--network", "dev", "--json")

    assert done.code == 12
    assert done.json["error"]["pid"] == broker.pid


def test_detached_one_that_serves_is_as_good(
    run: Run, call: Call, broker: BrokerInfo
) -> None:
    port = broker.endpoint.rpartition(":")[2]

    for args in ((), ("--port", "0"), ("--port", port, "--host", "127.0.0.1")):
        found = call("up", "--network", "dev", "--detach", *args)
        assert found["pid"] == broker.pid


@pytest.mark.parametrize("args", [("--port", "1"), ("--plain",)])
def test_unless_something_else_was_asked_for(
    run: Run, broker: BrokerInfo, args: tuple[str, ...]
) -> None:
    before = networks.find("dev").saved()

    assert run("up", "--network", "dev", "--detach", *args).code == 12
    assert networks.find("dev").saved() == before


def test_a_port_in_use_is_said(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for mode in ((), ("--detach",)):
            done = run("up", "--network", "dev", "--port", port, *mode, "--json")
            assert (done.code, done.json["error"]["code"]) == (11, "port_in_use")


@pytest.mark.security
def test_plain_is_for_this_machine_only(run: Run) -> None:
    done = run("up", "--network", "dev", "--plain", "--host", "0.0.0.0", "--json")

    assert (done.code, done.json["error"]["code"]) == (2, "usage")


def test_plain_mode_carries_mail(run: Run, call: Call) -> None:
    call("up", "--network", "dev", "--plain", "--detach")
    call("send", "bob", "hi", "--future", agent="alice")

    assert "  | hi\n" in run("check", agent="bob").out


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 33])
def test_a_bad_name_makes_no_network(run: Run, name: str) -> None:
    done = run("up", "--network", name, "--detach", "--json")

    assert done.code in (2, 4)
    assert run("networks", "--json").json == {"networks": []}


def test_down_waits_for_the_end_and_can_be_said_twice(call: Call) -> None:
    call("up", "--network", "dev", "--detach")

    assert call("down") == {"networks": [{"network": "dev", "stopped": True}]}
    assert not networks.find("dev").is_served()
    assert call("down") == {"networks": [{"network": "dev", "stopped": False}]}


def test_down_all_ends_every_broker(call: Call) -> None:
    for name in ("dev", "prod"):
        call("up", "--network", name, "--detach")

    assert [each["stopped"] for each in call("down", "--all")["networks"]] == [True] * 2
    assert {each["state"] for each in call("networks")["networks"]} == {"down"}


def test_force_ends_one_that_does_not_listen(call: Call) -> None:
    pid = call("up", "--network", "dev", "--detach")["pid"]
    os.kill(pid, signal.SIGSTOP)

    assert call("down", "--force")["networks"][0]["stopped"]
    assert not networks.find("dev").is_served()


def test_status_tells_of_mail_and_of_the_broker(call: Call, bob: str) -> None:
    call("send", bob, "hi", agent="alice")
    found = call("status")

    assert found["network"] == "dev"
    assert found["endpoint"].startswith("tcp://127.0.0.1:")
    assert found["mailboxes"]["bob"]["waiting"] == 1


def test_status_starts_nothing(run: Run) -> None:
    networks.create("dev")

    assert run("status").code == 4
    assert not networks.find("dev").is_served()


def test_networks_are_listed_with_their_state(
    run: Run, call: Call, broker: BrokerInfo
) -> None:
    networks.create("prod")

    dev, prod = call("networks")["networks"]

    assert (dev["network"], dev["state"], dev["pid"]) == ("dev", "up", broker.pid)
    assert dev["endpoint"] == broker.endpoint
    assert (prod["network"], prod["state"], prod["pid"]) == ("prod", "down", None)
    text = run("networks").out.splitlines()
    assert text[1].split() == ["dev", "up", broker.endpoint]


def test_doctor_finds_nothing_wrong_with_a_healthy_home(
    run: Run, broker: BrokerInfo
) -> None:
    done = run("doctor", "--json")

    assert done.code == 0
    assert run("doctor").code == 0


@pytest.mark.security
def test_doctor_says_how_to_mend_a_folder_that_is_open(
    run: Run, broker: BrokerInfo
) -> None:
    folder = networks.find("dev").folder
    folder.chmod(0o755)
    try:
        done = run("doctor")
        assert done.code == 1
        assert f"chmod 700 {folder}" in done.out
        assert run("doctor", "--json").code == 1
    finally:
        folder.chmod(0o700)


def test_a_configuration_starts_all_its_networks(
    call: Call, begin: Begin, tmp_path: Path
) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("networks:\n  dev:\n  prod:\n")
    both = begin("up", "--config", str(file), "--json")
    ready = {json.loads(both.line())["network"] for _ in range(2)}
    assert ready == {"dev", "prod"}

    call("send", "bob", "hi", "--future", "--network", "prod", agent="alice")

    both.signal(signal.SIGINT)
    assert both.end().code == 0
    assert {each["state"] for each in call("networks")["networks"]} == {"down"}


def test_a_configuration_says_it_all(run: Run, tmp_path: Path) -> None:
    done = run("up", "--config", str(tmp_path / "x.yaml"), "--port", "1", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")

    done = run("up", "--config", str(tmp_path / "x.yaml"), "-n", "none", "--json")
    assert done.code == 2
    done = run("up", "--config", str(tmp_path / "missing.yaml"), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "config")


def test_one_network_of_a_configuration_can_be_run_alone(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("networks:\n  dev: {port: 0}\n  prod: {port: 0}\n")
    done = run("up", "--config", str(file), "--network", "prod", "--detach", "--json")
    assert (done.code, done.json["network"]) == (0, "prod")
    listed = run("networks", "--json").json["networks"]
    assert [each["network"] for each in listed] == ["prod"]


def test_a_variable_does_not_contradict_all(run: Run) -> None:
    assert run("up", "-n", "dev", "--detach").code == 0
    stopped = run("down", "--all", "--json", env={"IPCBUS_NETWORK": "dev"})
    assert stopped.json["networks"] == [{"network": "dev", "stopped": True}]
