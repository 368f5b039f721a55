"""Who may have a name, and for how long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import ipcbus
from ipcbus_bridges.claude_ipc.limits import DEFAULTS
from ipcbus_bridges.claude_ipc.state import FILE, FOLDER, State, hash_of
from tests.bridges.claude_ipc.conftest import NewDoor
from tests.bridges.claude_ipc.old import Door, Old, ask

SECRET = "open sesame"
SESSION_S = DEFAULTS.session_time
TAKEN = "Name fred is taken"


def test_without_a_secret_a_name_is_handed_on_with_a_warning(door: Door) -> None:
    assert "warning: IPC_SHARED_SECRET is not set" in door.said()
    first, second = door.registered("fred"), door.registered("Fred")
    assert "warning: fred was registered again" in door.said()
    second.send("fred", "to both")
    assert first.contents() == ["to both"]
    assert second.check() == []


def test_with_a_secret_a_name_is_its_holders_until_freed(
    own_door: NewDoor,
) -> None:
    door = own_door(secret=SECRET)
    assert "warning" not in door.said()
    wrong = {"status": "error", "message": "Invalid auth token"}
    assert Old(door.port, "fred", "another").register() == wrong
    assert Old(door.port, "fred").register() == wrong
    assert Old(door.port, "fred", SECRET).register(auth_token=["x"]) == wrong

    fred = door.registered("fred")
    for name in ("fred", "FRED"):
        told = door.old(name).register()
        assert told["status"] == "error"
        assert f"Name {name} is taken: its session is valid until" in told["message"]
    old_token = fred.token
    assert fred.register(session_token=old_token)["status"] == "ok"
    assert fred.token != old_token
    assert SECRET not in door.said()

    door.client("barney").close()
    assert door.command("--free", "fred") == 0
    assert door.command("--free", "barney") == 0
    assert fred("list")["message"] == "Invalid or missing session token"
    assert door.old("fred").register()["status"] == "ok"
    assert door.old("barney").register()["status"] == "ok"


def test_a_name_of_the_new_side_is_never_handed_out(door: Door) -> None:
    with door.client("Barney"):
        told = door.old("barney").register()
    assert told["status"] == "error"
    assert "an agent of dev has it that did not come from claude-ipc" in told["message"]


@pytest.mark.parametrize("token", [None, "", "x", 7, ["x"], {"a": 1}, "x" * 10_000])
def test_without_a_session_nothing_is_done(door: Door, token: object) -> None:
    for action in ("send", "broadcast", "check", "list", "rename", "nope"):
        message = {"content": "hi"}
        request = {"action": action, "to_id": "a", "new_id": "b", "message": message}
        told = ask(door.port, {**request, "session_token": token})
        assert told["message"] == "Invalid or missing session token"


def test_the_sender_is_the_sessions_whatever_is_said(door: Door) -> None:
    eve, bob = door.registered("eve"), door.registered("bob")
    door.registered("alice")
    eve("send", from_id="alice", to_id="bob", message={"content": "I am alice"})
    assert [one["from"] for one in bob.check()] == ["eve"]
    bob.send("alice", "secret")
    assert eve("check", instance_id="alice")["messages"] == []
    assert (
        eve("rename", old_id="alice", new_id="eva")["message"] == "Renamed eve to eva"
    )


def test_the_limit_is_of_each_instance(own_door: NewDoor) -> None:
    door = own_door("--rate", "5")
    fred, wilma = door.registered("fred"), door.registered("wilma")
    answers = [fred("list") for _ in range(6)]
    assert [one["status"] for one in answers] == ["ok"] * 5 + ["error"]
    limit = "Rate limit exceeded. Please wait before sending more requests."
    assert answers[-1]["message"] == limit
    assert wilma("list")["status"] == "ok"
    registers = [door.old("dino").register() for _ in range(6)]
    assert registers[-1]["message"].startswith("Rate limit exceeded")
    new_names = [door.old(name).register()["status"] for name in "abc"]
    assert new_names == ["ok", "ok", "error"]
    with door.client("new") as new:
        assert len([new.send("fred", "x") for _ in range(50)]) == 50


# --- what is remembered --------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def session(state: State, agent: str, token: str, now: float) -> None:
    state.open_session(agent, hash_of(token), now + SESSION_S, now)


def test_a_session_is_valid_for_a_day(state: State) -> None:
    state.claim("Fred", 0)
    session(state, "fred", "t", 0)
    assert state.of_session("t", SESSION_S - 1) is not None
    assert state.held_until("fred", 1) == SESSION_S
    assert state.of_session("t", SESSION_S) is None
    assert state.held_until("fred", SESSION_S) is None
    state.close()


def test_it_survives_and_holds_no_token(tmp_path: Path, state: State) -> None:
    state.claim("Fred", 0)
    session(state, "fred", "a-token-that-is-secret", 0)
    state.close()
    raw = (tmp_path / FOLDER / FILE).read_bytes()
    assert b"secret" not in raw
    assert (tmp_path / FOLDER / FILE).stat().st_mode & 0o777 == 0o600
    again = State(tmp_path)
    found = again.of_session("a-token-that-is-secret", 1)
    assert found is not None
    assert found.name == "Fred"
    again.close()


def test_sessions_go_along_with_a_rename(state: State) -> None:
    state.claim("fred", 0)
    session(state, "fred", "t", 0)
    state.begin_rename("fred", "Freddy")
    found = state.of_session("t", 1)
    assert found is not None
    assert (found.name, found.renaming) == ("fred", "Freddy")
    state.end_rename("fred", "Freddy")
    found = state.of_session("t", 1)
    assert found is not None
    assert (found.name, found.renaming) == ("Freddy", None)
    assert state.instance("fred") is None
    state.begin_rename("freddy", "x")
    state.end_rename("freddy", None)
    assert state.instance("freddy") is not None
    state.close()


def test_two_processes_may_write(tmp_path: Path, state: State) -> None:
    other = State(tmp_path)
    state.claim("fred", time.time())
    other.add_moved(["a", "b"])
    assert state.moved(["a", "b", "c"]) == {"a", "b"}
    assert other.instance("fred") is not None
    other.close()
    state.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(mode=0o700)
    (tmp_path / FOLDER / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(ipcbus.errors.StaleFile, match="must register again"):
        State(tmp_path)


@pytest.mark.parametrize("was_done", [True, False])
def test_a_rename_that_nobody_lived_to_see_is_found_out(
    door: Door, was_done: bool
) -> None:
    """As if the door was killed before, or after, the network had renamed it."""
    old, new = f"old-{was_done}", f"New-{was_done}"
    fred = door.registered(old)
    state = State(door.network.folder)
    state.begin_rename(old, new)
    state.close()
    if was_done:
        with door.client(old) as client, door.home.inside():
            client.rename(new)
    expected = new if was_done else old
    again = door.old(old).register()
    if was_done:
        assert f"it still forwards to {new}" in again["message"]
    else:
        assert again["status"] == "ok"
    fred.send(expected, "hello")
    assert [(one["from"], one["to"]) for one in fred.check()] == [(expected, expected)]
