"""Settings of Claude Code, Gemini CLI and Codex: our entries put in and taken out.

Only our own entries are touched; all other text stays byte for byte, comments too.

    jsonc      where each value of a JSON file with comments stands
    surgery    text inserted into such a file, and cut out
    settings   which entries are ours, in JSON
    tables     the same for TOML
    tools      files, events and forms of each tool
    commands   the command lines that are written down
    changes    what is to become of each file, and doing it
    writing    locks, links, replacing in one step
    difference what would change, for people
"""

from __future__ import annotations

from ipcbus.doors.install.changes import Change, carry_out, installation, removal
from ipcbus.doors.install.commands import Who, who
from ipcbus.doors.install.tools import TOOLS, Scope

__all__ = [
    "TOOLS",
    "Change",
    "Scope",
    "Who",
    "carry_out",
    "installation",
    "removal",
    "who",
]
