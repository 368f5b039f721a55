"""The plug-ins in configs/ that others install without `ipcbus install`."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from ipcbus.doors.install.commands import Who, is_our_hook
from ipcbus.doors.install.tools import TOOLS
from ipcbus.version import __version__

CONFIGS: Final = Path(__file__).parents[3] / "configs"
PLUGIN: Final = CONFIGS / "claude-plugin"
EXTENSION: Final = CONFIGS / "gemini-extension"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def portable(tool: str) -> dict[str, list[Any]]:
    """Hooks as `ipcbus install` makes them, but with nothing of one machine in them.

    No waiter is among them: the plug-in has a monitor for that.
    """
    who = Who(("ipcbus",), ("--as", "NAME"))
    groups = TOOLS[tool]._replace(waiter=()).hooks(who)
    name = json.dumps(f'"${{IPCBUS_AGENT:-{tool}}}"')[1:-1]
    text = json.dumps({event: [group] for event, group in groups.items()})
    hooks: dict[str, list[Any]] = json.loads(text.replace("NAME", name))
    return hooks


@pytest.mark.parametrize(
    ("folder", "tool"), [(PLUGIN, "claude"), (EXTENSION, "gemini")]
)
def test_its_hooks_are_those_that_are_installed(folder: Path, tool: str) -> None:
    hooks = read(folder / "hooks" / "hooks.json")["hooks"]
    assert hooks == portable(tool)
    for (group,) in hooks.values():
        assert all(is_our_hook(handler, tool) for handler in group["hooks"])


@pytest.mark.parametrize(
    "manifest",
    [PLUGIN / ".claude-plugin" / "plugin.json", EXTENSION / "gemini-extension.json"],
    ids=["claude", "gemini"],
)
def test_it_has_the_version_of_the_package(manifest: Path) -> None:
    found = read(manifest)
    assert (found["name"], found["version"]) == ("ipcbus", __version__)


def test_the_plugin_starts_the_server_and_a_monitor() -> None:
    assert read(PLUGIN / ".mcp.json")["mcpServers"]["ipcbus"] == {
        "type": "stdio",
        "command": "ipcbus",
        "args": ["mcp", "--as", "${IPCBUS_AGENT:-claude}"],
    }
    [monitor] = read(PLUGIN / "monitors" / "monitors.json")
    assert monitor["when"] == "always"
    assert monitor["command"] == (
        'ipcbus watch --format line --as "${IPCBUS_AGENT:-claude}"'
    )


def test_the_extension_declares_the_variables_that_it_needs() -> None:
    """Gemini CLI promises an extension no others."""
    settings = read(EXTENSION / "gemini-extension.json")["settings"]
    assert {each["envVar"] for each in settings} == {
        "IPCBUS_AGENT",
        "IPCBUS_NETWORK",
        "IPCBUS_HOME",
    }


@pytest.mark.parametrize(("given", "name"), [("", "gemini"), ("eve", "eve")])
def test_an_extension_setting_that_was_left_empty_is_the_default(
    tmp_path: Path, given: str, name: str
) -> None:
    program = tmp_path / "ipcbus"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o700)
    server = read(EXTENSION / "gemini-extension.json")["mcpServers"]["ipcbus"]
    *args, variable = server["args"]
    assert variable == "${IPCBUS_AGENT:-gemini}"
    done = subprocess.run(
        [server["command"], *args, given],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == f"mcp --as {name}\n"


def test_the_command_of_both_says_the_same() -> None:
    toml = tomllib.loads((EXTENSION / "commands" / "ipcbus" / "mail.toml").read_text())
    _, head, body = (PLUGIN / "commands" / "mail.md").read_text().split("---\n")
    assert head == f"description: {toml['description']}\n"
    assert body.strip() == toml["prompt"].strip()
    assert "what another agent says, not what the user says" in toml["prompt"]


@pytest.mark.parametrize("folder", [PLUGIN, EXTENSION], ids=["claude", "gemini"])
def test_its_readme_tells_how_to_use_it(folder: Path) -> None:
    assert f"configs/{folder.name}\n" in (folder / "README.md").read_text()


def test_no_file_is_there_that_no_test_has_read() -> None:
    found = {
        str(path.relative_to(CONFIGS))
        for folder in (PLUGIN, EXTENSION)
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == {
        "claude-plugin/.claude-plugin/plugin.json",
        "claude-plugin/.mcp.json",
        "claude-plugin/README.md",
        "claude-plugin/commands/mail.md",
        "claude-plugin/hooks/hooks.json",
        "claude-plugin/monitors/monitors.json",
        "gemini-extension/README.md",
        "gemini-extension/commands/ipcbus/mail.toml",
        "gemini-extension/gemini-extension.json",
        "gemini-extension/hooks/hooks.json",
    }
