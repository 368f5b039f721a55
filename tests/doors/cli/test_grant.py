"""`grant`: what the owner of a network lets its links do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.cli.conftest import Call, Run

pytestmark = pytest.mark.usefixtures("broker")


def test_a_grant_takes_the_place_of_the_one_before(
    run: Run, call: Call, link: None
) -> None:
    made = call("grant", "dev", "prod", "--allow", "a  ->  b", "--deny", "ci.* -> *")
    assert made == {
        "network": "dev",
        "peer": "prod",
        "changed": True,
        "out": ["allow a -> b", "deny ci.* -> *"],
        "in": [],
    }

    call("grant", "dev", "prod", "--in", "--allow", "* -> bob")
    again = call("grant", "dev", "prod", "--deny", "x -> *")
    assert (again["out"], again["in"]) == (["deny x -> *"], ["allow * -> bob"])

    shown = call("grant", "dev", "prod", "--show")
    assert shown == call("grant", "dev", "prod") == {**again, "changed": False}
    cleared = call("grant", "dev", "prod", "--clear", "--in")
    assert (cleared["out"], cleared["in"]) == (["deny x -> *"], [])
    assert run("grant", "dev", "prod").out.splitlines() == [
        "dev -> prod",
        "  deny x -> *",
        "dev <- prod",
        "  not narrowed",
    ]


def test_mail_that_is_not_granted_is_refused_at_once(
    run: Run, call: Call, link: None
) -> None:
    call("grant", "dev", "prod", "--allow", "carol -> *")

    done = run("send", "bob@prod", "hi", "-n", "dev", "--json", agent="alice")

    assert (done.code, done.json["error"]["code"]) == (5, "not_permitted")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--in", "--out"), "usage"),
        (("--clear", "--allow", "a -> b"), "usage"),
        (("--show", "--clear"), "usage"),
        (("--allow", "a b"), "invalid_message"),
        (("--allow", "a -> b\ndeny * -> *"), "invalid_message"),
    ],
)
def test_a_grant_that_is_none_changes_nothing(
    run: Run, call: Call, link: None, args: tuple[str, ...], code: str
) -> None:
    call("grant", "dev", "prod", "--allow", "a -> b")

    done = run("grant", "dev", "prod", *args, "--json")

    assert (done.code, done.json["error"]["code"]) == (2, code)
    assert call("grant", "dev", "prod")["out"] == ["allow a -> b"]


@pytest.mark.security
def test_only_the_owner_may_steer_and_grant(
    run: Run, call: Call, link: None, tmp_path: Path
) -> None:
    """Another machine that was let in as an agent is not the owner."""
    line = call("invite", "carol", "--network", "dev")["invitation"]
    env = {"IPCBUS_HOME": str(tmp_path / "guest")}
    call("join-network", "-", env=env, stdin=line.encode())

    for command in (
        ("grant", "dev", "prod", "--clear"),
        ("bridges", "pause", "dev", "prod"),
        ("bridges", "parked", "list", "dev", "prod"),
        ("audit", "--network", "dev"),
    ):
        done = run(*command, "--json", env=env)
        assert (done.code, done.json["error"]["code"]) == (5, "not_permitted")
    assert run("bridges", "status", "--json", env=env).json["links"]
