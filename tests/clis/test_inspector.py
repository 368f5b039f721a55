"""MCP Inspector, the reference client for people, lists and calls all of our tools."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipcbus import Client
from ipcbus.doors.tools import TOOLS
from tests.clis.packages import program
from tests.clis.processes import Process
from tests.clis.seats import IPCBUS, run

Inspect = Callable[..., Any]

SERVER = [*IPCBUS, "mcp", "--network", "dev", "--as", "insp"]

CALLS: dict[str, dict[str, Any]] = {
    "profile": {"name": "insp"},
    "agents": {},
    "send": {"to": "bob", "text": "hello"},
    "inbox": {"peek": True},
    "ask": {"to": "bob", "text": "are you there?", "timeout_s": 1},
    "wait": {"timeout_s": 1},
    "status": {},
}
"""A call of each tool that ends well when bob says nothing."""


@pytest.fixture
def inspect(user_home: Path) -> Inspect:
    """Run the Inspector with a target and a method; the JSON that it prints."""

    def inspect(target: list[str], *options: str) -> Any:
        env = {
            "HOME": str(user_home),
            "PATH": os.environ["PATH"],
            "IPCBUS_HOME": os.environ["IPCBUS_HOME"],
        }
        command = [program("mcp-inspector"), "--cli", "--format", "json", "--quiet"]
        # It hands little of its environment on to a server.
        command += ["-e", f"IPCBUS_HOME={env['IPCBUS_HOME']}"]
        return json.loads(run([*command, *options, *target], env, user_home))

    return inspect


@pytest.fixture
def over_http(bob: Client) -> Iterator[list[str]]:
    """A server behind a port of its own, and what the Inspector must know of it."""
    with Process([*SERVER, "--http", "0"], env=dict(os.environ)) as server:
        yield http_target(server.wait_for("/mcp\n"))


def http_target(said: str) -> list[str]:
    """From what a server says when it starts: its address and the file of its token."""
    url = re.search(r"http://[\d.]+:\d+/mcp", said)
    path = re.search(r"the token is in (\S+)", said)
    assert url
    assert path
    token = Path(path[1]).read_text().strip()
    return ["--server-url", url[0], "--header", f"Authorization: Bearer {token}"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_lists_all_tools_and_finds_no_fault_in_their_schemas(
    era: str, inspect: Inspect, bob: Client
) -> None:
    listed = inspect(
        SERVER, "--protocol-era", era, "--method", "tools/list", "--strict"
    )
    assert [tool["name"] for tool in tools_of(listed)] == [t.name for t in TOOLS]
    for tool, shown in zip(TOOLS, tools_of(listed), strict=True):
        assert shown["inputSchema"] == tool.schema


@pytest.mark.parametrize("name", CALLS)
def test_it_calls_each_tool_over_stdio(
    name: str, inspect: Inspect, bob: Client
) -> None:
    assert_answered(name, inspect(SERVER, *calling(name)))


def test_it_calls_each_tool_over_http(inspect: Inspect, over_http: list[str]) -> None:
    listed = inspect(over_http, "--method", "tools/list")
    assert {tool["name"] for tool in tools_of(listed)} == CALLS.keys()
    for name in CALLS:
        assert_answered(name, inspect(over_http, *calling(name)))


def test_every_tool_is_called_here() -> None:
    assert CALLS.keys() == {tool.name for tool in TOOLS}


def calling(name: str) -> list[str]:
    args = json.dumps(CALLS[name])
    return ["--method", "tools/call", "--tool-name", name, "--tool-args-json", args]


def tools_of(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.get("result", answer)["tools"]
    return found


def assert_answered(name: str, answer: Any) -> None:
    """One JSON object as text, and no error."""
    result = answer.get("result", answer)
    assert not result.get("isError"), result
    (content,) = result["content"]
    assert "error" not in json.loads(content["text"]), name
