"""The bounds that who runs a door may set."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ipcbus.doors.cli import bridge_limits
from ipcbus.errors import UsageError
from ipcbus_bridges.claude_ipc.limits import DEFAULTS, RANGES
from ipcbus_bridges.claude_ipc.state import State
from tests.bridges.claude_ipc.conftest import NewDoor
from tests.bridges.claude_ipc.old import OLD_BUFFER, connected

ALL = (
    "request_size=2MiB",
    "request_time=1500ms",
    "answer_size=20KiB",
    "connections=50",
    "session_time=7d",
    "file_time=2h",
)


def test_each_is_read_with_its_unit_and_shown_as_it_is_written() -> None:
    found = bridge_limits.read(ALL)

    assert list(found) == [2 * 1024**2, 1.5, 20 * 1024, 50, 7 * 24 * 3600, 7200]
    assert bridge_limits.changed(found) == ", ".join(ALL)
    assert bridge_limits.read(()) == DEFAULTS
    assert bridge_limits.changed(DEFAULTS) == ""
    assert set(RANGES) == set(DEFAULTS._fields)


@pytest.mark.parametrize("key", RANGES)
def test_the_ends_of_a_range_are_in_it_and_nothing_beyond(key: str) -> None:
    allowed = RANGES[key]
    for end in (allowed.least, allowed.most, getattr(DEFAULTS, key)):
        text = f"{key}={bridge_limits.show(allowed, end)}"
        assert getattr(bridge_limits.read([text]), key) == end
    for beyond in (allowed.least - 1, allowed.most + 1):
        text = f"{key}={bridge_limits.show(allowed, beyond)}"
        with pytest.raises(UsageError) as caught:
            bridge_limits.read([text])
        assert bridge_limits.span(allowed) in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["size=1MiB"], "KEY is one of request_size, request_time, answer_size, "),
        (["request_size"], "'' is not a size such as"),
        (["=5"], "write KEY=VALUE"),
        (["request_size=4096"], "'4096' is not a size such as"),
        (["request_time=4"], "'4' is not a duration such as"),
        (["connections=1e3"], "'1e3' is not a whole number"),
        (["connections=-5"], "'-5' is not a whole number"),
        (["connections=50", "connections=60"], "connections is given twice"),
    ],
)
def test_what_is_no_limit_is_refused_and_told_why(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        bridge_limits.read(texts)
    assert said in str(caught.value)


def test_a_door_keeps_them(own_door: NewDoor) -> None:
    wanted = "request_size=4MiB", "answer_size=16KiB", "session_time=7d"
    door = own_door(*(f"--limit={text}" for text in wanted))
    assert f"limits: {', '.join(wanted)}" in door.said()

    fred = door.registered("fred")
    text = "й" * (512 * 1024)  # in JSON three times as long as in the network
    assert fred.send("fred", text)["message"] == "Message sent"
    for _ in range(10):
        fred.send("fred", "x" * 5000)
    (large, *others) = fred.check()
    assert text in Path(large["message"]["data"]["large_message_file"]).read_text()
    assert 0 < len(others) < 4
    with connected(door.port) as sock:
        sock.sendall(json.dumps(fred.request("check")).encode())
        assert len(sock.recv(OLD_BUFFER)) <= 16 * 1024

    too_large = fred.send("fred", "x" * (5 * 1024 * 1024))
    assert too_large["message"] == f"Request too large: at most {4 * 1024**2} bytes"
    state = State(door.network.folder)
    until = state.held_until("fred", time.time())
    state.close()
    assert until is not None
    assert until > time.time() + 6 * 24 * 3600
