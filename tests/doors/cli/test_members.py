"""Names, keys, topics, and members on other machines."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import COMMAND, ROOT, Begin, Call, Run, environment, read
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


def names(call: Call) -> list[str]:
    return [each["name"] for each in call("agents")["agents"]]


# --- names -----------------------------------------------------------------------


def test_registering_gives_a_name_and_a_key_once(call: Call, run: Run) -> None:
    assert call("register", "Bob") == {
        "name": "Bob",
        "network": "dev",
        "created": True,
    }
    assert call("register", "bob")["created"] is False
    assert names(call) == ["Bob"]
    assert networks.find("dev").key_path("bob").stat().st_mode & 0o777 == 0o600


def test_agents_tells_who_is_connected(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    (found,) = call("agents")["agents"]
    assert (found["registered"], found["sessions"]) == (True, 0)

    begin("watch", agent=bob)
    until(lambda: call("agents")["agents"][0]["sessions"] == 1)
    assert "bob    connected" in run("agents").out


def test_an_agent_renames_itself_and_keeps_its_mail_and_key(
    run: Run, call: Call, bob: str
) -> None:
    call("send", bob, "before", agent="alice")

    renamed = call("rename", "robert", agent=bob)

    assert (renamed["old"], renamed["new"]) == ("bob", "robert")
    late = call("send", bob, "after", agent="alice")
    assert (late["state"], late["to"]) == ("forwarded", "robert")
    assert [m["body"] for m in read(run, "robert")] == ["before", "after"]


def test_the_operator_renames_anyone(run: Run, call: Call, bob: str) -> None:
    call("rename", bob, "robert")

    assert names(call) == ["robert"]
    assert run("check", agent="robert").code == 3  # the key went with the name


def test_a_rename_that_is_refused_changes_no_key(
    run: Run, call: Call, bob: str
) -> None:
    call("register", "carol")

    assert run("rename", "carol", agent=bob).code == 5
    call("send", bob, "hi", agent="carol")
    assert [m["from"] for m in read(run)] == ["carol"]


# --- topics ----------------------------------------------------------------------


def test_a_topic_reaches_those_who_joined(run: Run, call: Call, bob: str) -> None:
    assert call("join", "builds.*", agent=bob)["joined"] == ["builds.*"]
    assert call("join", "#news", agent=bob)["joined"] == ["builds.*", "news"]
    assert call("topics")["topics"] == [
        {"topic": "builds.*", "agents": ["bob"]},
        {"topic": "news", "agents": ["bob"]},
    ]
    call("send", "#builds.linux", "red", agent="alice")
    assert [(m["to"], m["body"]) for m in read(run)] == [("#builds.linux", "red")]

    assert call("leave", "builds.*", agent=bob)["joined"] == ["news"]
    assert "#news" in run("topics").out


# --- keys ------------------------------------------------------------------------


def test_keys_are_listed_and_can_be_revoked(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    watching = begin("watch", agent=bob)
    until(lambda: call("agents")["agents"][0]["sessions"] == 1)

    (found,) = [key for key in call("keys")["keys"] if key["name"] == "bob"]
    assert (found["role"], found["state"], found["sessions"]) == ("agent", "live", 1)
    secret = networks.find("dev").key_path("bob").read_text()
    assert found["key"] in secret

    gone = call("revoke", bob)
    assert (gone["keys"], gone["sessions_ended"]) == (1, 1)
    assert watching.end().code == 5
    assert run("check", agent=bob).code == 5


def test_an_operators_command_needs_no_agent(call: Call, bob: str) -> None:
    assert call("keys", agent=bob) == call("keys")


@pytest.mark.security
def test_no_secret_is_ever_printed(run: Run, call: Call, bob: str) -> None:
    folder = networks.find("dev").folder
    secrets = [
        word.strip('"')
        for path in (*folder.glob("*.key"), *folder.glob("keys/*.key"))
        for line in path.read_text().splitlines()
        if '"secret"' in line
        for word in line.split()[1:]
    ]
    assert len(secrets) >= 3

    said = [
        run(*command)
        for command in (("keys", "--json"), ("keys",), ("status",), ("doctor",))
    ]

    assert not any(secret in done.out + done.err for secret in secrets for done in said)


# --- another machine -------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of another machine: a home of its own."""
    return {"IPCBUS_HOME": str(tmp_path / "other")}


def test_an_invitation_lets_another_machine_in_once(
    run: Run, call: Call, elsewhere: dict[str, str], broker: BrokerInfo
) -> None:
    invited = run("invite", "carol")
    assert invited.code == 0
    (line,) = invited.out.splitlines()

    joined = call("join-network", env=elsewhere, stdin=line.encode())
    assert joined == {"name": "carol", "network": "dev", "endpoint": broker.endpoint}

    call("send", "carol", "welcome", agent="alice")
    read_there = run("check", "--json", agent="carol", env=elsewhere)
    assert [m["body"] for m in read_there.json["messages"]] == ["welcome"]
    call("send", "alice", "thanks", agent="carol", env=elsewhere)
    assert [m["from"] for m in read(run, "alice")] == ["carol"]

    third = {"IPCBUS_HOME": elsewhere["IPCBUS_HOME"] + "-2"}
    again = run("join-network", "-", "--json", env=third, stdin=line.encode())
    assert (again.code, again.json["error"]["code"]) == (5, "not_permitted")
    assert run("networks", "--json", env=third).json == {"networks": []}


@pytest.mark.security
def test_an_invited_machine_has_no_operator(
    run: Run, call: Call, elsewhere: dict[str, str]
) -> None:
    line = run("invite", "carol").out
    call("join-network", "-", env=elsewhere, stdin=line.encode())

    for command in (("keys",), ("revoke", "alice"), ("invite", "eve")):
        assert run(*command, env=elsewhere).code in (4, 5)
    assert run("check", agent="alice", env=elsewhere).code in (4, 5)


def test_an_invitation_for_a_taken_name_is_refused(run: Run, bob: str) -> None:
    done = run("invite", bob, "--json")

    assert (done.code, done.json["error"]["code"]) == (5, "name_taken")


@pytest.mark.security
def test_a_damaged_invitation_is_refused_and_not_repeated(run: Run) -> None:
    line = run("invite", "carol").out.strip()[:-20]

    done = run("join-network", line, "--json")

    assert (done.code, done.json["error"]["code"]) == (2, "invalid_message")
    assert line not in done.out + done.err


@pytest.mark.security
def test_an_invitation_can_be_in_a_file(
    run: Run, call: Call, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "carol.invitation"
    file.write_text(run("invite", "carol").out)

    both = run("join-network", "-", "--file", str(file), "--json", env=elsewhere)
    assert (both.code, both.json["error"]["code"]) == (2, "usage")
    missing = run("join-network", "--file", f"{file}.not", "--json", env=elsewhere)
    assert (missing.code, missing.json["error"]["code"]) == (2, "usage")
    joined = call("join-network", "--file", str(file), env=elsewhere)
    assert joined["name"] == "carol"


@pytest.mark.security
def test_an_invitation_in_the_command_line_is_taken_with_a_warning(
    run: Run, elsewhere: dict[str, str]
) -> None:
    line = run("invite", "carol").out.strip()

    done = run("join-network", line, "--json", env=elsewhere)

    assert (done.code, done.json["name"]) == (0, "carol")
    assert "others on this machine may have seen this invitation" in done.err
    assert line not in done.out + done.err


@pytest.mark.security
def test_a_terminal_is_asked_for_the_invitation_and_does_not_show_it(
    run: Run, elsewhere: dict[str, str]
) -> None:
    line = run("invite", "carol").out.strip()
    main, side = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "join-network", "--json"],
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=side,
        cwd=ROOT,
        env=environment(elsewhere),
        start_new_session=True,  # no terminal but this one
    ) as process:
        assert process.stdout is not None
        os.close(side)
        shown = b""
        while b"not shown" not in shown:
            shown += os.read(main, 4096)
        os.write(main, f"{line}\n".encode())
        joined = json.loads(process.stdout.read())
        shown += left(main)
    assert joined["name"] == "carol"
    assert line[:16].encode() not in shown


@pytest.mark.security
def test_what_invite_says_to_do_next_keeps_the_secret(run: Run) -> None:
    agent = run("invite", "carol")
    assert "ipcbus join-network`, which asks for it" in agent.err
    bridge = run("invite", "--bridge", "prod")
    assert "put it in a file" in bridge.err
    assert "`ipcbus bridge prod FILE`" in bridge.err
    for each in (agent, bridge):
        assert invitations.PREFIX not in each.err


def left(terminal: int) -> bytes:
    """What a terminal shows until nobody holds it any more."""
    shown = b""
    with suppress(OSError):
        while piece := os.read(terminal, 4096):
            shown += piece
    os.close(terminal)
    return shown


def test_an_invitation_names_where_this_machine_is(call: Call) -> None:
    made = call("invite", "carol", "--address", "192.0.2.7", "--ttl", "1h")

    found = invitations.read(made["invitation"])
    assert found.endpoint.startswith("tcp://192.0.2.7:")
    assert (found.network, found.name) == ("dev", "carol")
