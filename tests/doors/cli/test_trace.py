"""`route`, `trace`, `audit`: the way that mail goes, and went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doors.cli.conftest import Bridge, Call, Run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def sent(call: Call, bridge: Bridge) -> str:
    """The id of a message from dev that is in prod."""
    call("register", "bob", "--network", "prod")
    bridge()
    args = ("--wait", "relayed", "--network", "dev")
    return str(call("send", "bob@prod", "hi", *args, agent="alice")["id"])


def steps(found: Any) -> list[tuple[str, str, str]]:
    return [(each["network"], each["way"], each["verdict"]) for each in found["steps"]]


# --- route -------------------------------------------------------------------------


def test_a_route_is_a_link_and_its_state(run: Run, call: Call, sent: str) -> None:
    until(
        lambda: call("route", "bob@prod", "-n", "dev")["state"] == "running",
    )

    found = call("route", "bob@prod", "--network", "dev", agent="alice")
    assert (found["network"], found["to"]) == ("dev", "bob@prod")
    assert (found["peer"], found["reason"]) == ("prod", "")
    said = run("route", "bob@prod", "--network", "dev").out
    assert said == "bob@prod  by the link dev -> prod  running\n"


def test_an_address_of_the_network_itself_is_local(run: Run, call: Call) -> None:
    found = call("route", "bob")

    assert (found["peer"], found["state"]) == (None, "local")


def test_where_no_link_leads_nobody_is(run: Run) -> None:
    done = run("route", "bob@nowhere", "--json")

    assert (done.code, done.json["error"]["code"]) == (6, "unknown_recipient")


# --- trace -------------------------------------------------------------------------


def test_a_trace_is_told_by_all_networks_in_order(
    run: Run, call: Call, sent: str
) -> None:
    found = call("trace", sent)

    assert found["id"] == sent
    assert sorted(steps(found)) == [
        ("dev", "", "accepted"),
        ("dev", "out", "accepted"),
        ("prod", "", "accepted"),
        ("prod", "in", "accepted"),
    ]
    assert [each["at"] for each in found["steps"]] == sorted(
        each["at"] for each in found["steps"]
    )
    assert found["states"] == {"dev": "done", "prod": "waiting"}
    assert found["unasked"] == []
    ends = {(each["network"], each["from"], each["to"]) for each in found["steps"]}
    assert ends == {("dev", "alice", "bob@prod"), ("prod", "alice@dev", "bob")}
    by = {each["way"]: each["rule"] for each in found["steps"]}
    assert by == {"": "", "out": "default", "in": "default"}


def test_it_may_be_called_as_the_other_network_does(
    run: Run, call: Call, sent: str
) -> None:
    plain, full = call("trace", sent), call("trace", f"{sent}@dev")

    assert full["steps"] == plain["steps"]
    only = call("trace", sent, "--network", "prod")
    assert {each["network"] for each in only["steps"]} == {"prod"}
    text = run("trace", sent).out
    assert "-> prod" in text
    assert "<- dev" in text
    assert text.endswith("dev: done\nprod: waiting\n")


def test_a_refusal_is_traced_with_its_reason(
    run: Run, call: Call, bridge: Bridge
) -> None:
    bridge()
    args = ("--network", "dev", "--wait", "relayed", "--json")
    done = run("send", "nobody@prod", "hi", *args, agent="alice")
    assert done.code == 5

    found = call("trace", done.json["error"]["id"])

    (refused,) = [each for each in found["steps"] if each["way"] == "out"]
    assert (refused["verdict"], refused["status"]) == ("refused", "5.1.1")
    assert "nobody is called nobody" in refused["reason"]
    assert found["states"]["dev"] == "dead"


def test_a_guest_is_told_only_of_its_own_mail(
    run: Run, call: Call, sent: str, tmp_path: Path
) -> None:
    env = {"IPCBUS_HOME": str(tmp_path / "guest")}
    line = call("invite", "carol", "--network", "dev")["invitation"]
    call("join-network", "-", env=env, stdin=line.encode())

    done = run("trace", sent, "--json", env=env)
    assert (done.code, done.json["error"]["code"]) == (3, "no_such_message")

    own = call("send", "alice", "hi", agent="carol", env=env)["id"]
    assert steps(call("trace", own, env=env)) == [("dev", "", "accepted")]


@pytest.mark.parametrize(
    ("args", "exit_code", "code"),
    [
        (("m-404",), 3, "no_such_message"),
        (("a b",), 2, "invalid_message"),
        (("m-404", "--network", "nowhere"), 4, "no_network"),
    ],
)
def test_what_cannot_be_traced(
    run: Run, args: tuple[str, ...], exit_code: int, code: str
) -> None:
    done = run("trace", *args, "--json")

    assert (done.code, done.json["error"]["code"]) == (exit_code, code)


# --- audit -------------------------------------------------------------------------


def test_what_crossed_is_listed_in_pages(run: Run, call: Call, sent: str) -> None:
    call("send", "bob@prod", "two", "--wait", "relayed", "-n", "dev", agent="alice")

    found = call("audit", "--network", "dev")
    assert found["network"] == "dev"
    crossed = [each for each in found["audit"] if each["way"] == "out"]
    assert sum(each["messages"] for each in crossed) == 2
    assert {(each["peer"], each["verdict"], each["rule"]) for each in crossed} == {
        ("prod", "accepted", "default")
    }
    first = call("audit", "--network", "dev", "--limit", "1")["audit"]
    rest = call("audit", "--network", "dev", "--after", str(first[0]["n"]))["audit"]
    assert first + rest == found["audit"]
    assert "prod <- dev" in run("audit", "--network", "prod").out


def test_nothing_crossed_is_nothing(run: Run) -> None:
    done = run("audit", "--json")

    assert (done.code, done.json) == (3, {"network": "dev", "audit": []})
    assert run("audit").out == "nothing crossed\n"


# --- receipts ----------------------------------------------------------------------


def test_a_sender_may_wait_until_its_mail_is_relayed(call: Call, sent: str) -> None:
    found = call(
        *("send", "bob@prod", "x", "--wait", "relayed", "--id", "m-1", "-n", "dev"),
        agent="alice",
    )

    assert found == {"id": "m-1", "state": "relayed", "to": "bob@prod"}
    waiting = call("check", "--peek", "--network", "prod", agent="bob")["messages"]
    assert "m-1@dev" in [each["id"] for each in waiting]


def test_the_word_on_it_does_not_stay_as_mail(run: Run, call: Call, sent: str) -> None:
    assert run("check", "--network", "dev", agent="alice").code == 3


def test_a_bounce_is_told_instead_of_waiting(run: Run, call: Call, sent: str) -> None:
    done = run(
        *("send", "nobody@prod", "x", "--wait", "acked", "-n", "dev", "--json"),
        agent="alice",
    )

    assert (done.code, done.json["error"]["code"]) == (5, "bounced")
    assert done.json["error"]["status"] == "5.1.1"


def test_what_does_not_come_so_far_in_time_is_on_its_way(
    run: Run, call: Call, sent: str
) -> None:
    done = run(
        *("send", "bob@prod", "x", "--wait", "acked", "--timeout", "300ms"),
        *("-n", "dev", "--json"),
        agent="alice",
    )

    assert (done.code, done.json["error"]["code"]) == (3, "timed_out")
    id_ = done.json["error"]["id"]
    call("wait", "--timeout", "10", "--network", "prod", agent="bob")
    # Nobody is woken by a receipt, but whoever looks finds it.
    looked: dict[str, Any] = {}

    def found() -> bool:
        looked.update(run("check", "--network", "dev", "--json", agent="alice").json)
        return bool(looked["messages"])

    until(found)
    (word,) = looked["messages"]
    assert (word["kind"], word["reply_to"]) == ("ack", id_)
    assert word["data"]["event"] == "acked"
