"""A notification for the person at the machine: who wrote, never what.

Arguments of a program can be read by every user of the machine, so the text of a
message is none; and a name goes to no shell and into no script, but as an argument.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from ipcbus.errors import UsageError

SHOWN_S: Final = 5.0
"""Seconds that the program may take; a message is not held up for longer."""

_APPLE: Final = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


def program() -> Sequence[str]:
    """What shows a notification here, its title and text to follow.

    Raises `UsageError` if there is nothing.
    """
    if found := shutil.which("notify-send"):
        return (found, "--app-name=ipcbus", "--")
    if found := shutil.which("osascript"):
        lines = [part for line in _APPLE for part in ("-e", line)]
        return (found, *lines, "--")
    reason = "no program shows notifications here: neither notify-send nor osascript"
    raise UsageError(reason=reason)


def notify(command: Sequence[str], title: str, text: str) -> bool:
    """Show it; whether that went well. That it did not is no reason to stop."""
    try:
        done = subprocess.run(
            [*command, title, text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SHOWN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
