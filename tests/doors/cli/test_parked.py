"""`bridges parked`: mail that a link could not bring over."""

from __future__ import annotations

import pytest

from tests.doors.cli.conftest import Bridge, Call, Run, findings, state
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def parked(call: Call, bridge: Bridge) -> list[str]:
    """Ids of two messages to nobody, on the link from dev to prod."""
    bridge()
    sent = [
        call("send", "nobody@prod", text, "--network", "dev", agent="alice")["id"]
        for text in ("one", "two")
    ]
    until(lambda: state(call)["parked"] == 2)
    return sent


def test_parked_mail_is_listed_and_shown(
    run: Run, call: Call, parked: list[str]
) -> None:
    first = call("bridges", "parked", "list", "dev", "prod", "--limit", "1")
    assert ([each["id"] for each in first["parked"]], first["more"]) == (
        parked[:1],
        True,
    )
    assert first["parked"][0]["code"] == "no_such_agent"
    after = ("--after", str(first["parked"][0]["seq"]))
    rest = call("bridges", "parked", "list", "dev", "prod", *after)
    assert ([each["id"] for each in rest["parked"]], rest["more"]) == (
        parked[1:],
        False,
    )

    shown = call("bridges", "parked", "show", "dev", "prod", parked[1])
    assert shown["message"]["body"] == "two"
    assert shown["parked"]["to"] == "nobody@prod"
    assert (
        "on its way to prod"
        in run(*("bridges", "parked", "show", "dev", "prod", parked[0])).out
    )
    assert ("dev -> prod", "warn", "2 messages are parked") in findings(run)


def test_parked_mail_has_a_second_chance(
    run: Run, call: Call, parked: list[str]
) -> None:
    call("register", "nobody", "--network", "prod")

    done = call("bridges", "parked", "replay", "dev", "prod", parked[0])
    assert done == {"replayed": 1}
    (found,) = call("wait", "--timeout", "20", "-n", "prod", agent="nobody")["messages"]
    assert found["body"] == "one"
    assert call("bridges", "parked", "drop", "dev", "prod", "--all") == {"dropped": 1}
    assert run("bridges", "parked", "list", "dev", "prod").code == 3


def test_dead_letters_of_others_are_none_of_a_link(
    run: Run, call: Call, parked: list[str]
) -> None:
    call("register", "bob", "--network", "dev")
    call("send", "bob", "x", "--id", "m-1", "--network", "dev", agent="alice")
    for _ in range(5):
        call("check", "--no-ack", "--network", "dev", agent="bob")
        call("nack", "m-1", "--network", "dev", agent="bob")
    assert len(call("dead", "list", "--network", "dev")["dead"]) == 3

    listed = call("bridges", "parked", "list", "dev", "prod")["parked"]
    assert [each["id"] for each in listed] == parked
    for command in ("show", "replay", "drop"):
        done = run("bridges", "parked", command, "dev", "prod", "m-1", "--json")
        assert (done.code, done.json["error"]["code"]) == (3, "no_such_message")
    call("bridges", "parked", "drop", "dev", "prod", "--all")
    assert [each["id"] for each in call("dead", "list", "-n", "dev")["dead"]] == ["m-1"]


@pytest.mark.parametrize("ids", [(), ("m-1", "--all")])
@pytest.mark.parametrize("command", ["replay", "drop"])
def test_which_mail_is_meant_must_be_said(
    run: Run, command: str, ids: tuple[str, ...]
) -> None:
    done = run("bridges", "parked", command, "dev", "prod", *ids, "--json")

    assert (done.code, done.json["error"]["code"]) == (2, "usage")
