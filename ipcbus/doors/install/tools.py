"""What each tool has: its files, its events, and how it writes a hook down.

Sources: the hooks pages of Claude Code, Gemini CLI and Codex, and the programs
themselves (2.1.330, 0.61.0, 0.169.0).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from ipcbus.doors.install.commands import WAIT, Who
from ipcbus.errors import UsageError

Scope = Literal["user", "project"]
Holds = Literal["servers", "hooks", "both", "tables"]
"""What of ours a file is for; `tables` is a TOML file with the MCP server."""

HOOK_S: Final = 5
"""Seconds for a hook, which needs 0.2; a tool waits that long for one that hangs."""

WAITER_S: Final = 86_400
"""A day: as long as a session may be left idle and still be woken."""


_BESIDE: Final = {"async": True, "asyncRewake": True}
"""Of a waiter. The second alone lets a session begin only when its waiter has ended."""


class Tool(NamedTuple):
    """A program that is installed into.

    Attributes:
        events: in the order in which they come in a session.
        second: one second, in the unit of its time-outs.
        server: what its entry of an MCP server has beside command and arguments.
        waiter: events after which a waiter is started, whose end wakes the session.
        notes: what the user has to know or do, by scope.
    """

    name: str
    events: tuple[str, ...]
    second: int
    server: Mapping[str, Any]
    waiter: tuple[str, ...]
    notes: Mapping[Scope, str]

    def hooks(self, who: Who) -> dict[str, dict[str, Any]]:
        """The group of handlers for each event."""
        groups = {
            event: {"hooks": [self._handler(who, event, HOOK_S)]}
            for event in self.events
        }
        for event in self.waiter:
            waiter = self._handler(who, WAIT, WAITER_S)
            groups[event]["hooks"].append({**waiter, **_BESIDE})
        return groups

    def _handler(self, who: Who, event: str, seconds: int) -> dict[str, Any]:
        command = who.hook(self.name, event)
        timeout = seconds * self.second
        return {"type": "command", "command": command, "timeout": timeout}


TOOLS: Final[Mapping[str, Tool]] = {
    "claude": Tool(
        "claude",
        ("SessionStart", "UserPromptSubmit", "PostToolBatch", "Stop", "SessionEnd"),
        second=1,
        server={"type": "stdio"},
        # The first waits while nobody has asked anything, the others for all that comes
        # after a turn, also one that a waiter began. Only one waits at a time.
        waiter=("SessionStart", "Stop"),
        notes={
            "user": "Sessions that run now have it when they are started again.",
            "project": "Claude Code asks once whether the server of .mcp.json may run.",
        },
    ),
    "gemini": Tool(
        "gemini",
        ("SessionStart", "BeforeAgent", "AfterTool", "AfterAgent", "SessionEnd"),
        second=1000,
        server={},
        waiter=(),
        notes={
            "user": "Gemini CLI starts MCP servers in trusted folders only.",
            "project": "Gemini CLI ignores it as long as the folder is not trusted.",
        },
    ),
    "codex": Tool(
        "codex",
        ("SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"),
        second=1,
        # A server gets HOME, PATH and little more, unless it is named here.
        server={"env_vars": ["IPCBUS_HOME", "XDG_STATE_HOME"]},
        waiter=(),
        notes={
            "user": "Codex runs new hooks after you trusted them once: type /hooks.",
            "project": "Codex reads it in a trusted folder, and runs new hooks after "
            "you trusted them once: type /hooks.",
        },
    ),
}


def files(tool: str, scope: Scope) -> list[tuple[Path, Holds]]:
    """The files of `tool` that are installed into."""
    if scope == "project":
        return _project_files(tool, Path.cwd())
    if tool == "claude":
        folder = _folder("CLAUDE_CONFIG_DIR", _home() / ".claude")
        return [(_claude_state(folder), "servers"), (folder / "settings.json", "hooks")]
    if tool == "gemini":
        home = _folder("GEMINI_CLI_HOME", _home())
        return [(home / ".gemini" / "settings.json", "both")]
    folder = _folder("CODEX_HOME", _home() / ".codex")
    return [(folder / "config.toml", "tables"), (folder / "hooks.json", "hooks")]


def _home() -> Path:
    """Raises `UsageError` for one that cannot be: files would land somewhere."""
    home = os.environ.get("HOME")
    if home is not None and not Path(home).is_absolute():
        reason = f"HOME is {home!r}; set it to your folder, or take --scope project"
        raise UsageError(reason=reason)
    return Path.home()


def _project_files(tool: str, here: Path) -> list[tuple[Path, Holds]]:
    if tool == "claude":
        settings = here / ".claude" / "settings.json"
        return [(here / ".mcp.json", "servers"), (settings, "hooks")]
    if tool == "gemini":
        return [(here / ".gemini" / "settings.json", "both")]
    folder = here / ".codex"
    return [(folder / "config.toml", "tables"), (folder / "hooks.json", "hooks")]


def _claude_state(folder: Path) -> Path:
    """Claude Code keeps to an old place if a file is there, and looks for the new one
    beside its folder, or in a folder that was chosen."""
    old = folder / ".config.json"
    if old.exists():
        return old
    chosen = bool(os.environ.get("CLAUDE_CONFIG_DIR"))
    return (folder if chosen else _home()) / ".claude.json"


def _folder(variable: str, default: Path) -> Path:
    chosen = os.environ.get(variable)
    return Path(chosen).absolute() if chosen else default
