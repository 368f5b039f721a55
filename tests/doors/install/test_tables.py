"""Our MCP server in Codex's config.toml."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given

from ipcbus.doors.install import tables
from ipcbus.doors.install.jsonc import Unreadable
from ipcbus.doors.install.settings import Foreign
from ipcbus.doors.install.surgery import Misfit
from tests.doors.install.conftest import WHO
from tests.doors.install.documents import some
from tests.doors.install.tables import documents

ENTRY = WHO.server()
ELSEWHERE = WHO._replace(program=('/o p"t/é/ipcbus',), home="/srv/bus").server()


@some
@given(documents())
def test_all_that_was_there_is_kept_and_ours_is_added(text: str) -> None:
    wanted = tables.read(text)
    wanted.setdefault("mcp_servers", {})["ipcbus"] = ENTRY
    assert tables.read(tables.add_server(text, ENTRY)) == wanted


@some
@given(documents())
def test_a_removal_gives_back_the_very_same_text(text: str) -> None:
    assert tables.remove_server(tables.add_server(text, ENTRY)) == text
    assert tables.remove_server(text) == text


@some
@given(documents())
def test_an_older_entry_is_made_new(text: str) -> None:
    first = tables.add_server(text, ENTRY)
    assert tables.add_server(first, ENTRY) == first
    second = tables.add_server(first, ELSEWHERE)
    assert tables.read(second)["mcp_servers"]["ipcbus"] == ELSEWHERE
    assert tables.add_server(second, ENTRY) == first
    assert tables.remove_server(second) == text


def test_it_is_put_at_the_end_behind_an_empty_line() -> None:
    assert tables.add_server('model = "x"\n', ENTRY) == (
        'model = "x"\n\n[mcp_servers.ipcbus]\ncommand = "/opt/ipcbus"\n'
        'args = ["mcp", "--network", "dev", "--as", "ann"]\n'
    )


BY_CODEX = """\
[mcp_servers.ipcbus]
command = "/old/ipcbus"
args = ["mcp"]
startup_timeout_sec = 20

[mcp_servers.ipcbus.env]
IPCBUS_HOME = "/old"
TZ = "UTC"

[mcp_servers.ipcbus.tools.send]
approval_mode = "approve"

[mcp_servers.zed]
command = "true"
"""
"""As Codex writes the file again, with what its user chose meanwhile."""


def test_what_the_user_chose_is_kept_when_ours_is_made_new() -> None:
    new = tables.add_server(BY_CODEX, ENTRY)
    assert tomllib.loads(new)["mcp_servers"]["ipcbus"] == {
        **ENTRY,
        "startup_timeout_sec": 20,
        "env": {"TZ": "UTC"},
        "tools": {"send": {"approval_mode": "approve"}},
    }


def test_nothing_below_ours_is_left_behind() -> None:
    left = tables.remove_server(BY_CODEX)
    assert left.strip() == '[mcp_servers.zed]\ncommand = "true"'


def test_a_server_of_our_name_that_is_another_program_is_not_touched() -> None:
    text = '[mcp_servers.ipcbus]\ncommand = "npx"\n'
    with pytest.raises(Foreign):
        tables.add_server(text, ENTRY)
    assert tables.remove_server(text) == text


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { other = { command = "x" } }\n',
        'mcp_servers.ipcbus = { command = "ipcbus", args = ["mcp"] }\n',
        '[mcp_servers]\nipcbus = { command = "ipcbus", args = ["mcp"] }\n',
        "mcp_servers = 1\n",
    ],
)
def test_a_form_that_cannot_be_changed_safely_is_refused(text: str) -> None:
    with pytest.raises(Misfit, match=r"mcp_servers\.ipcbus"):
        tables.add_server(text, ENTRY)


def test_what_is_wrong_is_told_with_its_place() -> None:
    with pytest.raises(Unreadable) as caught:
        tables.add_server("a = 1\n[b\n", ENTRY)
    assert (caught.value.line, caught.value.column) == (2, 3)
