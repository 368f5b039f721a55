"""Which events of which CLI are answered, and in which words. Pure.

Claude Code: https://code.claude.com/docs/en/hooks. Gemini CLI: docs/hooks of
google-gemini/gemini-cli. Codex: codex-rs/hooks of openai/codex; it refuses an answer
that has a field which that event does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

START: Final = "start"
"""A session begins, goes on after a pause, or was compacted."""
PROMPT: Final = "prompt"
"""A person has written."""
BATCH: Final = "batch"
"""All tools of a step are done; their results go to the model together."""
TOOL: Final = "tool"
"""One tool is done, maybe of several that run at once."""
STOP: Final = "stop"
"""The model has finished its turn."""
END: Final = "end"
"""The session is over."""

EVENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "claude": {
        "SessionStart": START,
        "UserPromptSubmit": PROMPT,
        "PostToolBatch": BATCH,
        "PostToolUse": TOOL,
        "Stop": STOP,
        "SessionEnd": END,
    },
    "gemini": {
        "SessionStart": START,
        "BeforeAgent": PROMPT,
        "AfterTool": TOOL,
        "AfterAgent": STOP,
        "SessionEnd": END,
    },
    "codex": {
        "SessionStart": START,
        "UserPromptSubmit": PROMPT,
        "PostToolUse": TOOL,
        "Stop": STOP,
    },
}

WAIT: Final = "wait"
"""No event: the waiter. Gemini CLI has no way to be woken."""
WAITERS: Final = ("claude", "codex")

_BLOCKS: Final = {"claude": "block", "gemini": "deny", "codex": "block"}


def answer(tool: str, event: str, text: str) -> str:
    """What that CLI takes for `text` at that event, as one line of JSON.

    At the end of a turn it is the reason to go on; else it stands beside what the
    model reads next.
    """
    found: dict[str, Any]
    if EVENTS[tool][event] == STOP:
        found = {"decision": _BLOCKS[tool], "reason": text}
    else:
        found = {"hookEventName": event, "additionalContext": text}
        found = {"hookSpecificOutput": found}
    return json.dumps(found) + "\n"
