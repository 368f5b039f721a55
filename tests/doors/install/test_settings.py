"""Our entries in JSON settings, beside those of others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.doors.install import settings
from ipcbus.doors.install.tools import TOOLS
from tests.doors.install import documents
from tests.doors.install.conftest import WHO

tools = st.sampled_from(sorted(TOOLS))
OTHER = WHO._replace(options=("--network", "prod", "--as", "eve"), home="/srv/bus")


def installed(text: str, tool: str, before: str, who: Any = WHO) -> str:
    new = settings.add_server(text, {**who.server(), **TOOLS[tool].server})
    return settings.add_hooks(new, tool, TOOLS[tool].hooks(who), before)


def removed(text: str, tool: str, before: str) -> str:
    return settings.remove_server(settings.remove_hooks(text, tool, before), before)


def merged(found: Any, tool: str, who: Any = WHO) -> Any:
    """What an installation has to come to."""
    servers = found.setdefault("mcpServers", {})
    servers["ipcbus"] = {**who.server(), **TOOLS[tool].server}
    for event, group in TOOLS[tool].hooks(who).items():
        found.setdefault("hooks", {}).setdefault(event, []).append(group)
    return found


@documents.some
@given(documents.settings(), tools)
def test_all_that_others_have_is_kept_and_ours_is_added(text: str, tool: str) -> None:
    new = installed(text, tool, text)
    assert documents.meaning(new) == merged(documents.meaning(text), tool)


@documents.some
@given(documents.settings(), tools)
def test_a_removal_gives_back_the_very_same_text(text: str, tool: str) -> None:
    new = installed(text, tool, text)
    assert new != text
    assert removed(new, tool, text) == text
    backwards = settings.remove_server(new, text)
    assert settings.remove_hooks(backwards, tool, text) == text


@documents.some
@given(documents.settings(), tools)
def test_a_second_time_there_is_nothing_to_do(text: str, tool: str) -> None:
    new = installed(text, tool, text)
    assert installed(new, tool, text) == new
    assert removed(text, tool, text) == text


@documents.some
@given(documents.settings(), tools)
def test_an_older_entry_is_made_new(text: str, tool: str) -> None:
    new = installed(installed(text, tool, text), tool, text, OTHER)
    assert documents.meaning(new) == merged(documents.meaning(text), tool, OTHER)
    assert removed(new, tool, text) == text


@documents.some
@given(documents.settings(), tools)
def test_without_a_backup_only_empty_containers_may_be_missing(
    text: str, tool: str
) -> None:
    left = documents.meaning(removed(installed(text, tool, text), tool, ""))
    assert _without_empty(left) == _without_empty(documents.meaning(text))


def _without_empty(found: Any) -> Any:
    hooks = {k: v for k, v in found.get("hooks", {}).items() if v}
    kept = {**found, "hooks": hooks}
    return {k: v for k, v in kept.items() if v or k not in ("hooks", "mcpServers")}


# --- whose is it? --------------------------------------------------------------


def test_a_server_of_our_name_that_is_another_program_is_not_touched() -> None:
    text = '{"mcpServers": {"ipcbus": {"command": "npx", "args": ["ipcbus"]}}}'
    with pytest.raises(settings.Foreign):
        settings.add_server(text, WHO.server())
    assert settings.remove_server(text, "") == text


def test_what_the_user_added_to_our_entry_is_kept() -> None:
    entry = {"command": "/old/ipcbus", "args": ["mcp"], "trust": True, "timeout": 9}
    old = {**entry, "env": {"IPCBUS_HOME": "/old", "TZ": "UTC"}}
    new = settings.add_server(json.dumps({"mcpServers": {"ipcbus": old}}), WHO.server())
    assert json.loads(new)["mcpServers"]["ipcbus"] == {
        **WHO.server(),
        "trust": True,
        "timeout": 9,
        "env": {"TZ": "UTC"},
    }


def test_an_empty_environment_that_the_tool_wrote_is_no_difference() -> None:
    old = {**WHO.server(), "env": {}}
    text = json.dumps({"mcpServers": {"ipcbus": old}})
    assert settings.add_server(text, WHO.server()) == text


def test_ours_in_a_group_of_somebody_else_is_taken_out_alone() -> None:
    ours = {"type": "command", "command": WHO.hook("claude", "Stop")}
    theirs = {"type": "command", "command": "beep"}
    text = json.dumps({"hooks": {"Stop": [{"hooks": [theirs, ours]}]}})
    new = settings.remove_hooks(text, "claude", "")
    assert json.loads(new) == {"hooks": {"Stop": [{"hooks": [theirs]}]}}


def test_events_that_are_ours_no_more_are_taken_away() -> None:
    group = {"hooks": [{"type": "command", "command": WHO.hook("claude", "OldEvent")}]}
    text = json.dumps({"hooks": {"OldEvent": [group]}})
    new = settings.add_hooks(text, "claude", TOOLS["claude"].hooks(WHO), "")
    assert list(json.loads(new)["hooks"]) == list(TOOLS["claude"].events)


def test_doubled_entries_become_one() -> None:
    group = TOOLS["codex"].hooks(WHO)["Stop"]
    text = json.dumps({"hooks": {"Stop": [group, group]}})
    new = settings.add_hooks(text, "codex", TOOLS["codex"].hooks(WHO), "")
    assert json.loads(new)["hooks"]["Stop"] == [group]


def test_hooks_of_another_tool_are_not_ours() -> None:
    text = installed("{}", "gemini", "{}")
    assert settings.remove_hooks(text, "claude", "{}") == text
