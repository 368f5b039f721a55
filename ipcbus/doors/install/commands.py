"""The command lines that are written into settings: the one place that makes them.

A tool runs them long after the installation, from any folder and in an environment of
its own (Codex hands a server little more than HOME and PATH). So the program is given
by its whole path, network and name are spelled out, and a home of the state that is
not the default one is written down as well.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ipcbus import networks
from ipcbus.errors import UsageError

HOME: Final = "IPCBUS_HOME"
WAIT: Final = "wait"
"""The event of the waiter, which is no event of the tool itself."""

_HERE: Final = ("XDG_STATE_HOME", HOME)


class Who(NamedTuple):
    """For whom commands are made.

    Attributes:
        program: what starts ipcbus.
        options: network and name.
        home: where the state lives; None for the default place.
    """

    program: tuple[str, ...]
    options: tuple[str, ...]
    home: str | None = None

    def server(self) -> dict[str, Any]:
        """The entry of an MCP server, as all three tools have it."""
        program, *args = self.program
        entry: dict[str, Any] = {
            "command": program,
            "args": [*args, "mcp", *self.options],
        }
        return entry if self.home is None else {**entry, "env": {HOME: self.home}}

    def hook(self, tool: str, event: str) -> str:
        """A line for the shell, which is what runs hooks."""
        home = "" if self.home is None else f"{HOME}={shlex.quote(self.home)} "
        return home + shlex.join([*self.program, "hook", tool, event, *self.options])


def who(network: str, agent: str) -> Who:
    """This program, for `agent` in `network`. Raises `UsageError` for a path that no
    settings file could hold, or that a tool would take for a variable."""
    program = _program()
    home = str(networks.home()) if any(map(os.environ.get, _HERE)) else None
    for path in (*program, home or ""):
        if "$" in path or not path.isprintable():
            raise UsageError(reason=f"{path!r} cannot be written into settings")
    return Who(program, ("--network", network, "--as", agent), home)


def _program() -> tuple[str, ...]:
    """The `ipcbus` that runs now; or one beside its Python, or on the PATH."""
    beside = str(Path(sys.executable).parent / "ipcbus")
    for found in (sys.argv[0], beside, shutil.which("ipcbus")):
        if found and Path(found).name == "ipcbus" and os.access(found, os.X_OK):
            path = Path(found).absolute()  # not resolved: upgrades move the target
            if path.is_file():
                return (str(path),)
    return (sys.executable, "-m", "ipcbus")


# --- telling ours ------------------------------------------------------------


def is_our_server(entry: Any) -> bool:
    """Whether an MCP server's entry starts `ipcbus mcp`, wherever it lies."""
    if not isinstance(entry, dict):
        return False
    command, args = entry.get("command"), entry.get("args", [])
    if not isinstance(command, str) or not isinstance(args, list):
        return False
    rest = _after_program([command, *map(str, args)])
    return rest is not None and rest[:1] == ["mcp"]


def is_our_hook(handler: Any, tool: str) -> bool:
    """Whether a hook's handler runs `ipcbus hook TOOL` and nothing else: a line that
    somebody built around ours is theirs."""
    command = handler.get("command") if isinstance(handler, dict) else None
    if not isinstance(command, str):
        return False
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return False
    if words and words[0].startswith(f"{HOME}="):
        words.pop(0)
    rest = _after_program(words)
    return rest is not None and rest[:2] == ["hook", tool] and _is_simple(rest[2:])


def _after_program(words: Sequence[str]) -> list[str] | None:
    """What follows `ipcbus` or `python -m ipcbus`; None if neither is there."""
    if words and Path(words[0]).name == "ipcbus":
        return list(words[1:])
    if list(words[1:3]) == ["-m", "ipcbus"]:
        return list(words[3:])
    return None


def _is_simple(words: Sequence[str]) -> bool:
    """Whether it is an event and options: no pipe, no second command."""
    return bool(words) and not any(set(word) & set("|&;<>()`") for word in words)
