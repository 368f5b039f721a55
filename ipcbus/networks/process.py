"""Which process a pid means: numbers are used again, a start time is not.

A process is known by its pid, the moment it started, the boot it started in and
its user. Together these name one process for ever; any one alone proves nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

_AFTER_NAME_STATE = 0
_AFTER_NAME_START = 19


def boot_id() -> str:
    """What the kernel calls this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def started(pid: int) -> int | None:
    """When `pid` started, in ticks since boot; None if it has ended (or is a zombie).

    Field 22 of /proc/PID/stat (proc(5)), counted from behind the program's name,
    which may itself hold blanks and brackets.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    if fields[_AFTER_NAME_STATE] in "ZX":
        return None
    return int(fields[_AFTER_NAME_START])


def is_same(pid: int, start: int, boot: str) -> bool:
    """Whether `pid` is still the process that started then, and is our user's."""
    return started(pid) == start and boot_id() == boot and _user(pid) == os.geteuid()


def _user(pid: int) -> int | None:
    # Not the owner of /proc/PID: that is root for a process that forbids core dumps.
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    return None
