"""What a CLI hands to a hook on stdin: one JSON object, of which little is needed."""

from __future__ import annotations

import json
import os
import re
import select
import time
from typing import Any, Final, NamedTuple

PARSED: Final = 1024 * 1024
"""Bytes that are read as JSON. What is longer holds results of tools; who is asking
stands at its beginning."""

MOST: Final = 64 * 1024 * 1024
"""Bytes that are read at all: a CLI must be able to write all it has."""

PATIENCE_S: Final = 2.0
"""Seconds until the end of stdin has come; some never close it."""

_PAUSE_S: Final = 0.1
"""After which a whole object is taken for all there is."""

_HEAD: Final = 16 * 1024
_PIECE: Final = 65536


class Given(NamedTuple):
    """Attributes:
    session: the CLI's name of it.
    agent: which helper of the model runs; None for the model itself.
    source: of a session's start: startup, resume, clear, compact, ...
    going_on: at the end of a turn: a hook has made this turn go on before.
    """

    session: str
    agent: str | None = None
    source: str | None = None
    going_on: bool = False


def read(fd: int) -> Given | None:
    """What is said on `fd`; None if that makes no sense."""
    try:
        return understood(_all(fd))
    except OSError:
        return None


def _all(fd: int) -> bytes:
    """Until its end, but not for ever and not without end."""
    found = bytearray()
    deadline = time.monotonic() + PATIENCE_S
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    count = 0
    while count < MOST and (left := deadline - time.monotonic()) > 0:
        if not poll.poll(min(left, _PAUSE_S) * 1000):
            if found.rstrip().endswith(b"}") and understood(bytes(found)):
                break
            continue
        piece = os.read(fd, _PIECE)
        if not piece:
            break
        count += len(piece)
        if len(found) <= PARSED:
            found += piece
    return bytes(found)


def understood(data: bytes) -> Given | None:
    """What `data` says, whole or cut."""
    value: Any
    if len(data) > PARSED:
        value = _from_head(data[:_HEAD].decode(errors="replace"))
    else:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, dict):
        return None
    session = value.get("session_id")
    if not isinstance(session, str) or not session:
        return None
    agent, source = value.get("agent_id"), value.get("source")
    return Given(
        session,
        agent if isinstance(agent, str) and agent else None,
        source if isinstance(source, str) else None,
        value.get("stop_hook_active") is True,
    )


def _from_head(text: str) -> dict[str, Any]:
    """Fields at the beginning of a JSON object that is too long to be parsed."""
    found: dict[str, Any] = {}
    for name in ("session_id", "agent_id", "source"):
        if match := re.search(rf'"{name}"\s*:\s*"([^"\\]{{1,200}})"', text):
            found[name] = match[1]
    if re.search(r'"stop_hook_active"\s*:\s*true', text):
        found["stop_hook_active"] = True
    return found
