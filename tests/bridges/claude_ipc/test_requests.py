"""From bytes to what an old program asks, and why not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcbus_bridges.claude_ipc import names, requests
from ipcbus_bridges.claude_ipc.framing import BadRequest
from ipcbus_bridges.claude_ipc.limiter import WINDOW_S, Limiter
from ipcbus_bridges.claude_ipc.requests import Asked, Rename, Said, Send, Unknown


def read(**fields: Any) -> requests.Register | Asked:
    return requests.read(json.dumps(fields).encode())


def test_a_message_is_read_with_all_that_it_has() -> None:
    message = {"content": "hello", "data": {"a": [1]}, "type": "file"}
    asked = read(action="send", to_id="bob", message=message, session_token="t")

    said = Said("hello", {"a": [1]}, {"type": "file"})
    assert asked == Asked("t", Send("bob", "bob", said))


def test_who_somebody_claims_to_be_is_not_looked_at() -> None:
    one = read(action="rename", old_id="eve", new_id="x", session_token="t")
    two = read(action="rename", old_id=["?"], new_id="x", session_token="t")

    assert one == two == Asked("t", Rename("x"))


@pytest.mark.parametrize("action", ["nope", None, 7, ["send"], {"a": 1}])
def test_an_unknown_action_is_told_when_the_session_is_known(action: object) -> None:
    assert read(action=action, session_token="t") == Asked("t", Unknown(action))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"action": "send", "to_id": 7, "message": {}}, "Invalid recipient ID format"),
        ({"action": "send", "to_id": "#a", "message": {}}, "Invalid recipient"),
        ({"action": "send", "to_id": "*", "message": {}}, "Invalid recipient"),
        ({"action": "send", "to_id": "a@b@c", "message": {}}, "Invalid recipient"),
        ({"action": "send", "to_id": "../x", "message": {}}, "Invalid recipient"),
        ({"action": "send", "to_id": "bob", "message": "hi"}, "Bad message"),
        ({"action": "send", "to_id": "bob", "message": {"content": 7}}, "Bad message"),
        ({"action": "send", "to_id": "bob"}, "Bad message"),
        ({"action": "broadcast", "message": []}, "Bad message"),
        ({"action": "broadcast", "message": {"content": "\ud800"}}, "not valid text"),
        ({"action": "rename", "new_id": "a b"}, "Invalid new instance ID format"),
        ({"action": "register", "instance_id": ""}, "Use 1-32 alphanumeric"),
        ({"action": "register", "instance_id": "x" * 33}, "Use 1-32 alphanumeric"),
        ({"action": "register", "instance_id": "bob@prod"}, "Use 1-32 alphanumeric"),
        ({"action": "register", "instance_id": "bob\n"}, "Use 1-32 alphanumeric"),
        ({"action": "register", "instance_id": 7}, "Use 1-32 alphanumeric"),
        ({"action": "register"}, "Use 1-32 alphanumeric"),
        ({"action": "register", "instance_id": "System"}, "the network's own"),
        ({"action": "register", "instance_id": "ipcbus"}, "the network's own"),
    ],
)
def test_what_is_of_a_wrong_type_is_told(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        read(**fields)


@pytest.mark.parametrize(
    "raw",
    [
        b"{bad}",
        b'{"action": "send",}',
        b'{"a": NaN}',
        b'{"a": \xff}',
        b"{}{}",
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_told(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="Bad request"):
        requests.read(raw)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_whatever_is_asked_is_read_or_refused(fields: dict[str, Any]) -> None:
    for action in ("register", "send", "broadcast", "check", "list", "rename"):
        with suppress(BadRequest):
            read(**{**fields, "action": action})


@pytest.mark.parametrize("old", ["fred", "Fred-2", "_x", "-", "x" * 32, "9_-"])
def test_a_name_is_an_agents_name_and_back(old: str) -> None:
    assert names.is_old(old)
    assert names.to_old(names.to_agent(old)) == old


OLD_NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True)


@settings(max_examples=50)
@given(OLD_NAMES, OLD_NAMES)
def test_no_two_old_names_are_one_agent(one: str, two: str) -> None:
    assert (names.to_agent(one) == names.to_agent(two)) is (one == two)
    assert names.to_old(names.to_agent(one)) == one


def test_a_name_that_is_too_long_with_its_mark_is_refused() -> None:
    assert names.is_old("_" + "x" * 29)
    assert not names.is_old("_" + "x" * 31)


def test_agents_of_the_new_side_and_of_other_networks_can_be_written_to() -> None:
    assert names.address("build.bot") == "build.bot"
    assert names.address("bob@prod") == "bob@prod"
    assert names.address("_x@prod") == "x._x@prod"


def test_a_limit_holds_in_any_minute_and_for_each_name() -> None:
    limiter = Limiter(3)
    assert [limiter.allows("a", now) for now in (0, 1, 2, 3)] == [True] * 3 + [False]
    assert limiter.allows("b", 3)
    assert not limiter.allows("a", WINDOW_S - 0.1)
    assert limiter.allows("a", WINDOW_S)
    assert not limiter.allows("a", WINDOW_S + 0.5)
    assert limiter.allows("a", WINDOW_S + 1)


def test_no_limit_is_no_limit() -> None:
    assert all(Limiter(0).allows("a", 0) for _ in range(1000))
