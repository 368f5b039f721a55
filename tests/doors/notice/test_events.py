"""The very JSON that each CLI takes at each event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipcbus.doors.notice.events import EVENTS, answer

BESIDE = {
    "claude": {"SessionStart", "UserPromptSubmit", "PostToolBatch", "PostToolUse"},
    "gemini": {"SessionStart", "BeforeAgent", "AfterTool"},
    "codex": {"SessionStart", "UserPromptSubmit", "PostToolUse"},
}


def said(tool: str, event: str) -> dict[str, Any]:
    line = answer(tool, event, "two\nlines")
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(("tool", "events"), BESIDE.items())
def test_text_stands_beside_what_the_model_reads_next(
    tool: str, events: set[str]
) -> None:
    for event in events:
        assert said(tool, event) == {
            "hookSpecificOutput": {
                "hookEventName": event,
                "additionalContext": "two\nlines",
            }
        }


@pytest.mark.parametrize(
    ("tool", "event", "decision"),
    [
        ("claude", "Stop", "block"),
        ("gemini", "AfterAgent", "deny"),
        ("codex", "Stop", "block"),
    ],
)
def test_the_end_of_a_turn_is_put_off_with_the_text_as_its_reason(
    tool: str, event: str, decision: str
) -> None:
    """Codex refuses any other field there."""
    assert said(tool, event) == {"decision": decision, "reason": "two\nlines"}


def test_these_are_all_events() -> None:
    known = {tool: set(events) - {"SessionEnd"} for tool, events in EVENTS.items()}
    stops = {"claude": "Stop", "gemini": "AfterAgent", "codex": "Stop"}

    assert known == {tool: BESIDE[tool] | {stops[tool]} for tool in BESIDE}
