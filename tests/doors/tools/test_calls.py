"""Whatever a model calls, the answer is one JSON object that it can act on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.doors.tools import TOOLS, Desk, call
from ipcbus.doors.tools.arguments import checked
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.errors import UsageError

NOWHERE = Desk(("no-such-network",), "alice")
"""A desk whose network there is not: no call gets any further."""


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("sned", {}, "there is no tool 'sned'; there are send, inbox"),
        ("send", [], "send: the arguments must be a JSON object"),
        ("send", {"to": "bob"}, "send: text is missing"),
        ("send", {"to": "bob", "text": None}, "send: text is missing"),
        ("send", {"to": 5, "text": "x"}, "send: to must be a text"),
        ("send", {"txet": "x"}, "there is no argument 'txet'; did you mean text?"),
        ("inbox", {"zzz": 1}, "there is no argument 'zzz'; it takes limit"),
        ("inbox", {"limit": 0}, "inbox: limit must be 1 to 20"),
        ("inbox", {"limit": True}, "inbox: limit must be a whole number"),
        ("inbox", {"limit": 1.5}, "inbox: limit must be a whole number"),
        ("inbox", {"peek": "yes"}, "inbox: peek must be true or false"),
        ("send", {"to": "b", "text": "x", "attach": [1]}, "must be a list of texts"),
        ("send", {"to": "b", "text": "x \ud83d"}, "send: text has half a letter"),
        ("send", {"to": "b", "text": "x", "attach": ["\ud83d"]}, "has half a letter"),
        ("inbox", {"save": "."}, "offset and save need the id of a message"),
        ("ask", {"to": "b", "text": "x", "id": "q-1"}, "id only goes on waiting"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(name: str, args: object, said: str) -> None:
    error = call(NOWHERE, name, args)["error"]

    assert error["code"] == "usage"
    assert said in error["message"]


def test_what_is_nearly_right_is_taken_as_it_was_meant() -> None:
    send, inbox = BY_NAME["send"], BY_NAME["inbox"]

    assert checked(inbox, {"limit": 3.0, "peek": None}) == {"limit": 3}
    assert checked(inbox, {"search": "", "read": ""}) == {}
    assert checked(send, {"to": "b", "text": ""}) == {"to": "b", "text": ""}
    assert checked(send, {"to": "b", "text": "x", "attach": "f"})["attach"] == ["f"]


def test_a_network_that_is_not_there_is_an_answer() -> None:
    assert call(NOWHERE, "inbox", {})["error"]["code"] in ("no_network", "no_broker")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=8,
)


@given(
    tool=st.sampled_from(TOOLS),
    args=JSON | st.dictionaries(st.sampled_from([*BY_NAME["inbox"].properties]), JSON),
)
def test_arguments_are_what_the_schema_says_or_refused(tool: Any, args: Any) -> None:
    try:
        found = checked(tool, args)
    except UsageError:
        return
    kinds = {"string": str, "boolean": bool, "integer": int, "array": list}
    for name, value in found.items():
        assert isinstance(value, kinds[tool.properties[name]["type"]])
    assert set(tool.required) <= found.keys()


def test_an_answer_is_json(alice: Desk, bob: Desk) -> None:
    for tool in TOOLS:
        args = {"to": "bob", "text": "x", "timeout_s": 1}
        known = {name: args[name] for name in args if name in tool.properties}
        answer = call(alice, tool.name, known)
        assert json.loads(json.dumps(answer)) == answer
        assert "error" not in answer, (tool.name, answer)
