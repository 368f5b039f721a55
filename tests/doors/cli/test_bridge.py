"""`bridge`: two networks, invitations to one of another machine, a life of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import Begin, Bridge, Call, Run, read, until_running
from tests.doors.cli.test_app import HEAVY, imported_by
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


# --- two networks of this machine ------------------------------------------------


def test_a_bridge_says_what_it_carries_and_then_does(
    call: Call, bridge: Bridge
) -> None:
    call("register", "bob", "--network", "prod")

    said = bridge().said

    assert said[0] == "dev -> prod: default: carries *@dev -> *@prod"
    assert "dev -> prod: running" in said
    sent = call("send", "bob@prod", "hi", "--network", "dev", agent="alice")
    found = call(*("wait", "--timeout", "10", "--network", "prod"), agent="bob")[
        "messages"
    ]
    assert [(m["from"], m["id"], m["body"]) for m in found] == [
        ("alice@dev", f"{sent['id']}@dev", "hi")
    ]
    assert (found[0]["trust"], found[0]["hops"]) == ("foreign", ["dev"])


def test_an_answer_needs_only_the_id_as_it_is_shown(
    run: Run, call: Call, bridge: Bridge
) -> None:
    call("register", "bob", "--network", "prod")
    bridge("--allow", "alice -> bob")
    sent = call("send", "bob@prod", "hi", "--network", "dev", agent="alice")
    call("wait", "--timeout", "10", "--network", "prod", agent="bob")

    call("reply", f"{sent['id']}@dev", "yes", "--network", "prod", agent="bob")

    (answer,) = call(*("wait", "--timeout", "10", "--network", "dev"), agent="alice")[
        "messages"
    ]
    assert (answer["from"], answer["body"]) == ("bob@prod", "yes")
    assert (answer["reply_to"], answer["thread"]) == (sent["id"], sent["id"])
    shown = call("show", answer["id"], "--network", "dev", agent="alice")
    assert shown["body"] == "yes"


def test_a_message_of_another_network_is_settled_by_its_id(
    run: Run, call: Call, bridge: Bridge
) -> None:
    call("register", "bob", "--network", "prod")
    bridge()
    sent = call("send", "bob@prod", "hi", "--network", "dev", agent="alice")
    id_ = f"{sent['id']}@dev"
    call("wait", "--no-ack", "--timeout", "10", "--network", "prod", agent="bob")

    assert call("extend", id_, "--network", "prod", agent="bob")["ids"] == [id_]
    call("nack", id_, "--reason", "busy", "--network", "prod", agent="bob")
    call("check", "--no-ack", "--network", "prod", agent="bob")
    call("ack", id_, "--network", "prod", agent="bob")
    assert read(run, "bob", "--network", "prod") == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_bridge_in_order(bridge: Bridge, end: signal.Signals) -> None:
    running = bridge("--one-way").running

    running.signal(end)

    done = running.end()
    assert (done.code, done.err) == (0, "")


def test_a_bridge_whose_reader_has_gone_goes_on(call: Call, bridge: Bridge) -> None:
    call("register", "bob", "--network", "prod")
    process = bridge().running.process
    assert process.stdout is not None
    process.stdout.close()

    for action, state in (("pause", "paused"), ("resume", "running")):
        call("bridges", action, "dev", "prod")
        until(partial(_is, call, state))  # it says so, to nobody

    assert process.poll() is None
    process.terminate()
    assert process.wait(10) == 0
    process.stdout = None


def _is(call: Call, state: str) -> bool:
    links = call("bridges", "status", "dev", "prod")["links"]
    return all(link["state"] == state for link in links)


def test_a_bridge_can_be_of_one_way(call: Call, bridge: Bridge) -> None:
    call("register", "bob", "--network", "prod")
    said = bridge("--one-way").said

    assert not any(line.startswith("prod -> dev") for line in said)
    sent = ("--wait", "relayed", "--timeout", "10", "--network", "dev")
    assert call("send", "bob@prod", "hi", *sent, agent="alice")["state"] == "relayed"


def test_a_bridge_goes_by_the_rules_it_was_given(
    run: Run, call: Call, bridge: Bridge, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('rules:\n  - {id: review, allow: "alice@dev -> bob@prod"}\n')

    said = bridge("--rules", str(rules), "--deny", "* -> root@prod").said

    assert said[0].startswith("dev -> prod: deny-1: refuses")
    assert "dev -> prod: review: carries alice@dev -> bob@prod" in said
    (link,) = [
        each for each in call("bridges", "status")["links"] if each["network"] == "dev"
    ]
    assert link["out"]["rules"]["file"] == str(rules)


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (("dev", "dev"), "usage", 2),
        (("dev", "Dev"), "usage", 2),
        (("dev",), "usage", 2),
        (("-", "-"), "usage", 2),
        (("dev", "nowhere"), "no_network", 4),
        (("dev", "no such name"), "invalid_address", 2),
        (("dev", "notes:/srv/notes"), "usage", 2),
        (("dev", "prod", "--allow", "nonsense"), "config", 2),
        (("dev", "prod", "--rules", "/nonexistent"), "config", 2),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    run: Run, prod: BrokerInfo, args: tuple[str, ...], code: str, exit_code: int
) -> None:
    for detach in ((), ("--detach",)):
        done = run("bridge", *args, *detach, "--json")

        assert (done.code, done.json["error"]["code"]) == (exit_code, code)


def test_no_other_command_loads_what_bridges_are_made_of() -> None:
    found = imported_by("import ipcbus.doors.cli.app, ipcbus.doors.cli.send")
    more = imported_by("import ipcbus.doors.cli.trace, ipcbus.doors.cli.grant")

    assert not any(name.startswith("ipcbus_bridges") for name in found | more)
    assert more & HEAVY == set()


# --- in the background -----------------------------------------------------------


@pytest.fixture
def pids() -> Iterator[list[int]]:
    """Bridges that run on; each is ended with the test."""
    found: list[int] = []
    yield found
    for pid in found:
        _end(pid)


def _end(pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    signal.pidfd_send_signal(fd, signal.SIGTERM)
    os.close(fd)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_detached_bridge_runs_on_and_writes_to_its_log(
    run: Run, call: Call, prod: BrokerInfo, pids: list[int]
) -> None:
    started = call("bridge", "dev", "prod", "--detach", "--allow", "alice <-> bob")

    pids.append(started["pid"])
    assert started["bridge"] == ["dev", "prod"]
    assert {"dev -> prod: running", "prod -> dev: running"} <= {*started["said"]}
    log = Path(started["log"])
    assert log == networks.find("dev").folder / "log" / "bridge-prod.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["said"] for line in lines][: len(started["said"])] == started["said"]
    assert all(set(line) == {"at", "bridge", "said"} for line in lines)

    _end(started["pid"])
    assert call("bridges", "status")["links"][0]["state"] == "no bridge"


def test_people_are_told_where_a_detached_bridge_is(
    run: Run, prod: BrokerInfo, pids: list[int]
) -> None:
    done = run("bridge", "dev", "prod", "--detach", "--one-way")

    assert done.code == 0
    *said, last = done.out.splitlines()
    pids.append(int(last.partition("(pid ")[2].partition(")")[0]))
    assert said[-1] == "dev -> prod: running"
    assert not any(line.endswith((": connecting", ": asking")) for line in said)
    assert "bridge-prod.log" in last


def test_stop_ends_all_bridges_between_two_networks_and_no_broker(
    run: Run, call: Call, prod: BrokerInfo, pids: list[int]
) -> None:
    started = [call("bridge", "dev", "prod", "--detach")["pid"] for _ in range(2)]
    pids += started

    ended = call("bridges", "stop", "prod", "dev")["ended"]

    assert sorted(ended) == sorted(started)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert len(call("networks")["networks"]) == 2
    done = run("bridges", "stop", "dev", "prod", "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "no_broker")


# --- a network of another machine ------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of another machine, where prod is served."""
    return {"IPCBUS_HOME": str(tmp_path / "other")}


@pytest.fixture
def line(run: Run, call: Call, elsewhere: dict[str, str]) -> Iterator[str]:
    """An invitation for a bridge of that prod to dev."""
    call("up", "--network", "prod", "--detach", env=elsewhere)
    try:
        made = call("invite", "dev", "--bridge", env=elsewhere)
        assert (made["name"], made["network"]) == ("@dev", "prod")
        yield made["invitation"]
    finally:
        assert run("down", env=elsewhere).code == 0


@pytest.mark.parametrize("by", ["file", "stdin"])
def test_a_network_of_another_machine_is_joined_by_invitation(
    run: Run,
    call: Call,
    begin: Begin,
    pids: list[int],
    tmp_path: Path,
    elsewhere: dict[str, str],
    line: str,
    by: str,
) -> None:
    call("register", "bob", env=elsewhere)
    file = tmp_path / "invitation"
    file.write_text(f"{line}\n")

    if by == "file":
        until_running(begin("bridge", "dev", str(file), "--json"))
        again = begin("bridge", "dev", str(file), "--json")  # used up, and good
        while not again.line().endswith('another bridge leads"}'):
            pass
        begin("bridge", "dev", "prod", "--json").line()
    else:
        started = call("bridge", "dev", "-", "--detach", stdin=line.encode())
        pids.append(started["pid"])

    call("send", "bob@prod", "hi", "--network", "dev", agent="alice")
    (found,) = call("wait", "--timeout", "10", agent="bob", env=elsewhere)["messages"]
    assert found["from"] == "alice@dev"
    status = call("bridges", "status")
    assert [each["network"] for each in status["links"]] == ["dev"]
    assert [each["network"] for each in status["unasked"]] == ["prod"]
    assert "prod -> dev" in run("bridges", "status").out
    paused = call("bridges", "pause", "dev", "prod")
    assert [each["network"] for each in paused["links"]] == ["dev"]
    assert [each["network"] for each in paused["unasked"]] == ["prod"]


@pytest.mark.security
def test_an_invitation_in_the_command_line_is_refused_and_not_repeated(
    run: Run, line: str
) -> None:
    done = run("bridge", "dev", line, "--json")

    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "give a file" in done.json["error"]["message"]
    assert invitations.read(line).secret not in done.out + done.err
    assert line not in done.out + done.err


def test_an_invitation_must_be_for_this_bridge(
    run: Run, call: Call, elsewhere: dict[str, str], line: str, tmp_path: Path
) -> None:
    call("up", "--network", "test", "--detach")
    done = run("bridge", "test", "-", "--json", stdin=line.encode())
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "for a bridge of prod to dev" in done.json["error"]["message"]

    agents = call("invite", "carol", env=elsewhere)["invitation"]
    done = run("bridge", "dev", "-", "--json", stdin=agents.encode())
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "ipcbus invite --bridge dev" in done.json["error"]["message"]

    (tmp_path / "x").write_text("no invitation")
    done = run("bridge", "dev", str(tmp_path / "x"), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "invalid_message")
    names = [each["network"] for each in call("networks")["networks"]]
    assert names == ["dev", "test"]  # none of them has joined anything


def test_an_invitation_that_is_over_leaves_nothing_behind(
    run: Run, call: Call, elsewhere: dict[str, str]
) -> None:
    call("up", "--network", "prod", "--detach", env=elsewhere)
    made = call("invite", "dev", "--bridge", "--ttl", "1ms", env=elsewhere)

    line = made["invitation"].encode()
    done = run("bridge", "dev", "-", "--json", stdin=line)

    call("down", env=elsewhere)
    assert (done.code, done.json["error"]["code"]) == (5, "not_permitted")
    assert [each["network"] for each in call("networks")["networks"]] == ["dev"]


def test_joining_with_one_tells_how_to_go_on(run: Run, line: str) -> None:
    done = run("join-network", "-", stdin=line.encode())

    assert done.out == "a bridge may join prod to dev now: ipcbus bridge dev prod\n"
