"""docs/mcp.md: what it says to copy is copied and tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp import StdioServerParameters

from ipcbus import networks
from ipcbus.doors.mcp.watching import AGENTS, INBOX, STATUS
from ipcbus.transport import launch
from tests.doors.mcp.conftest import quiet_environment
from tests.doors.mcp.model import (
    COMMAND,
    HANDSHAKE,
    model_at,
    reached_at,
    served_by_http,
)
from tests.examples import ROOT, examples, missing, run_python

PAGE = ROOT / "docs" / "mcp.md"


def servers() -> list[dict[str, Any]]:
    """What stands under `mcpServers` in each block of JSON."""
    blocks = re.findall(r"(?ms)^```json\n(.*?)^```", PAGE.read_text())
    return [json.loads(block)["mcpServers"]["ipcbus"] for block in blocks]


def test_the_server_of_the_page_starts_and_answers(home: Path) -> None:
    stdio, _ = servers()
    assert stdio["command"] == "ipcbus"
    assert stdio["args"][0] == COMMAND[-1]
    server = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], *stdio["args"][1:]],
        env=quiet_environment(),
    )
    with model_at(server, HANDSHAKE) as model:
        assert model.call("status")["agent"] == "ann"


def test_the_address_and_header_of_the_page_reach_a_server(home: Path) -> None:
    _, http = servers()
    with served_by_http("--network", "dev") as served:
        port = urlsplit(served.url).netloc
        url = http["url"].replace("127.0.0.1:8765", port)
        headers = {
            name: value.replace("TOKEN", served.token)
            for name, value in http["headers"].items()
        }
        with model_at(reached_at(url, headers), HANDSHAKE) as model:
            assert model.call("status")["agent"] == "ann"


def test_the_program_of_the_page_prints_what_the_page_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK hands on HOME, and below that is the network of who has set nothing."""
    monkeypatch.delenv("IPCBUS_HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    (program,) = examples(PAGE, "python")
    try:
        done = run_python(program, home)
    finally:
        launch.stop(networks.find("dev"), timeout=10.0)

    assert done.code == 0, done.out
    assert missing(program.shown, done.out) is None, done.out


def test_the_page_has_every_resource() -> None:
    rows = re.findall(r"^\| `(ipcbus://\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [INBOX, AGENTS, STATUS]
