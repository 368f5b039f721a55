"""Events of sessions of CLIs, as they are fired, and what became of the mail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ipcbus
from tests.doors.cli.conftest import Done, Run

Hook = Callable[..., Done]

PATIENT = ("--patience", "20s")
"""Machines of tests are slow."""

SESSION = b'{"session_id": "s-1"}'


def hooks(run: Run) -> Hook:
    """Fires an event: `hook("claude", "Stop", session="s-2", source="x")`."""

    def hook(
        tool: str, event: str, *, agent: str = "bob", session: str = "s-1", **more: Any
    ) -> Done:
        said = {"session_id": session, "hook_event_name": event, **more}
        stdin = json.dumps(said).encode()
        line = ("hook", tool, event, *PATIENT)
        # A `codex` of this machine must find no session to be woken for.
        done = run(*line, agent=agent, stdin=stdin, env={"PATH": "/nowhere"})
        assert (done.code, done.err) == (0, "")
        return done

    return hook


def text(done: Done) -> str:
    """What the model reads."""
    found = done.json
    beside = found.get("hookSpecificOutput", {}).get("additionalContext")
    told: str = beside or found["reason"]
    return told


def waiting() -> int:
    """How much of bob's mail nobody has acked yet."""
    with ipcbus.connect("dev", agent="") as operator:
        box = operator.status()["mailboxes"]["bob"]
        return int(box["waiting"]) + int(box["leased"])


def send(body: str = "the build is red", **options: Any) -> str:
    with ipcbus.connect("dev", agent="alice") as alice:
        return alice.send("bob", body, **options).id
