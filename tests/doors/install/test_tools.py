"""Files and hooks of each tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.install.tools import TOOLS, files
from ipcbus.errors import UsageError
from tests.doors.install.conftest import WHO


def places(tool: str, scope: str, home: Path) -> list[str]:
    assert scope in ("user", "project")
    found = files(tool, "user" if scope == "user" else "project")
    return [str(path.relative_to(home)) for path, _ in found]


@pytest.mark.parametrize(
    ("tool", "scope", "wanted"),
    [
        ("claude", "user", [".claude.json", ".claude/settings.json"]),
        ("claude", "project", ["project/.mcp.json", "project/.claude/settings.json"]),
        ("gemini", "user", [".gemini/settings.json"]),
        ("gemini", "project", ["project/.gemini/settings.json"]),
        ("codex", "user", [".codex/config.toml", ".codex/hooks.json"]),
        (
            "codex",
            "project",
            ["project/.codex/config.toml", "project/.codex/hooks.json"],
        ),
    ],
)
def test_each_tool_has_its_files(
    user: Path, tool: str, scope: str, wanted: list[str]
) -> None:
    assert places(tool, scope, user) == wanted


@pytest.mark.parametrize(
    ("tool", "variable", "wanted"),
    [
        ("claude", "CLAUDE_CONFIG_DIR", ["x/.claude.json", "x/settings.json"]),
        ("gemini", "GEMINI_CLI_HOME", ["x/.gemini/settings.json"]),
        ("codex", "CODEX_HOME", ["x/config.toml", "x/hooks.json"]),
    ],
)
def test_a_folder_that_the_user_chose_is_used(
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    variable: str,
    wanted: list[str],
) -> None:
    monkeypatch.setenv(variable, str(user / "x"))
    assert places(tool, "user", user) == wanted


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("home", ["", "relative"])
def test_without_a_folder_of_the_user_nothing_is_written_anywhere(
    user: Path, monkeypatch: pytest.MonkeyPatch, tool: str, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(UsageError, match="HOME is"):
        files(tool, "user")
    assert files(tool, "project")


def test_an_old_place_of_claude_is_used_if_a_file_is_there(user: Path) -> None:
    (user / ".claude").mkdir()
    (user / ".claude" / ".config.json").write_text("{}")
    assert places("claude", "user", user)[0] == ".claude/.config.json"


def test_a_hook_that_hangs_holds_a_tool_for_five_seconds() -> None:
    for name, unit in (("claude", 1), ("gemini", 1000), ("codex", 1)):
        for event, group in TOOLS[name].hooks(WHO).items():
            assert group["hooks"][0] == {
                "type": "command",
                "command": WHO.hook(name, event),
                "timeout": 5 * unit,
            }


def test_only_claude_has_a_waiter_and_after_every_turn() -> None:
    found = {
        (name, event): group["hooks"][1:]
        for name, tool in TOOLS.items()
        for event, group in tool.hooks(WHO).items()
        if group["hooks"][1:]
    }
    waiter = {
        "type": "command",
        "command": WHO.hook("claude", "wait"),
        "timeout": 86400,
        "async": True,
        "asyncRewake": True,
    }
    both = [("claude", "SessionStart"), ("claude", "Stop")]
    assert found == {place: [waiter] for place in both}
