"""Programs that we know: their flags, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.adapters.base import Usage
from ipcbus.adapters.presets import PRESETS, Outcome, preset_of, status_in
from ipcbus.errors import UsageError

# --- their flags ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "whole"),
    [
        ("claude", "claude -p --output-format json"),
        ("claude -p", "claude -p --output-format json"),
        ("/opt/bin/claude --print", "/opt/bin/claude --print --output-format json"),
        ("claude --output-format=json -p", "claude --output-format=json -p"),
        ("gemini", "gemini --output-format json"),
        ("gemini -p", "gemini --output-format json"),
        ("gemini -p {prompt}", "gemini -p {prompt} --output-format json"),
        ("gemini -o json", "gemini -o json"),
        ("codex", "codex exec --json"),
        ("codex exec -", "codex exec - --json"),
        ("codex -m x exec --json", "codex -m x exec --json"),
        ("llm", "llm --usage"),
        ("llm -u -m x", "llm -u -m x"),
    ],
)
def test_flags_are_given_that_are_missing(command: str, whole: str) -> None:
    words = command.split()

    assert " ".join(PRESETS[preset_of(words)].finished(words)) == whole


@pytest.mark.parametrize(
    "command",
    ["claude --output-format text", "claude --output-format=text", "gemini -o text"],
)
def test_another_form_of_output_is_refused(command: str) -> None:
    words = command.split()

    with pytest.raises(UsageError, match=r"leave .* out of the command"):
        PRESETS[preset_of(words)].finished(words)


def test_a_program_is_known_by_its_name() -> None:
    assert preset_of(["/usr/local/bin/codex", "exec"]) == "codex"
    assert preset_of(["claude.sh"]) == preset_of([]) == "none"


# --- what they say ----------------------------------------------------------------


def claude(**fields: Any) -> str:
    return json.dumps(
        {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "result": "It is green.",
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 10,
                "cache_read_input_tokens": 20,
                "output_tokens": 5,
                "service_tier": "standard",
            },
            **fields,
        }
    )


def gemini(**fields: Any) -> str:
    tokens = {"prompt": 7, "candidates": 2, "total": 12, "thoughts": 3, "tool": 0}
    return json.dumps(
        {
            "response": "It is green.",
            "stats": {"models": {"a": {"tokens": tokens}, "b": {"tokens": tokens}}},
            **fields,
        },
        indent=2,
    )


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def agent_message(text: str) -> dict[str, Any]:
    item = {"id": "item_1", "type": "agent_message", "text": text}
    return {"type": "item.completed", "item": item}


TURN_COMPLETED = {
    "type": "turn.completed",
    "usage": {"input_tokens": 30, "cached_input_tokens": 4, "output_tokens": 6},
}

SAID: dict[str, tuple[str, str, str, Outcome]] = {
    "claude answers": ("claude", claude(), "", Outcome("It is green.", Usage(33, 5))),
    "claude used two models": (
        "claude",
        claude(
            modelUsage={
                "a": {
                    "inputTokens": 3,
                    "cacheReadInputTokens": 20,
                    "cacheCreationInputTokens": 10,
                    "outputTokens": 5,
                },
                "b": {"inputTokens": 100, "outputTokens": 50},
            }
        ),
        "",
        Outcome("It is green.", Usage(133, 55)),
    ),
    "claude is refused": (
        "claude",
        claude(is_error=True, result="Invalid API key", api_error_status=401),
        "",
        Outcome(None, None, "Invalid API key", 401),
    ),
    "claude took too many turns": (
        "claude",
        json.dumps({"type": "result", "subtype": "error_max_turns", "is_error": True}),
        "",
        Outcome(None, None, "it ended with error_max_turns", None),
    ),
    "claude says something else": (
        "claude",
        "",
        "Error: status 529 Overloaded",
        Outcome(None, None, "Error: status 529 Overloaded", 529),
    ),
    "gemini answers": (
        "gemini",
        gemini(),
        "Loaded cached credentials.",
        Outcome("It is green.", Usage(14, 10)),
    ),
    "gemini fails on stderr": (
        "gemini",
        "",
        'a warning\n{\n  "error": {"type": "Api", "message": "no", "code": 403}\n}',
        Outcome(None, None, "no", 403),
    ),
    "gemini counts nothing": (
        "gemini",
        gemini(stats={}),
        "",
        Outcome("It is green.", None),
    ),
    "gemini has no answer": (
        "gemini",
        json.dumps({"response": None}),
        "it broke",
        Outcome(None, None, "it broke", None),
    ),
    "codex answers": (
        "codex",
        lines(
            {"type": "thread.started", "thread_id": "t"},
            agent_message("I look."),
            agent_message("It is green."),
            TURN_COMPLETED,
        ),
        "Reading prompt from stdin...",
        Outcome("It is green.", Usage(30, 6)),
    ),
    "codex tries again and answers": (
        "codex",
        lines(
            {"type": "error", "message": "Reconnecting... 1/5"},
            {"type": "turn.failed", "error": {"message": "stream error"}},
            agent_message("It is green."),
            TURN_COMPLETED,
        ),
        "",
        Outcome("It is green.", Usage(30, 6)),
    ),
    "codex fails": (
        "codex",
        lines(
            agent_message("I look."),
            {
                "type": "turn.failed",
                "error": {"message": "unexpected status 429 Too Many Requests"},
            },
        ),
        "",
        Outcome(None, None, "unexpected status 429 Too Many Requests", 429),
    ),
    "codex says nothing": (
        "codex",
        "",
        "",
        Outcome(None, None, "it said nothing", None),
    ),
    "llm answers": (
        "llm",
        "It is green.\n",
        "Token usage: 1,234 input, 5 output\n",
        Outcome("It is green.", Usage(1234, 5)),
    ),
    "llm counts nothing": ("llm", "Yes.\n", "", Outcome("Yes.", None)),
}


@pytest.mark.parametrize("case", SAID)
def test_what_a_program_says_is_understood(case: str) -> None:
    name, out, err, outcome = SAID[case]

    assert PRESETS[name].read(out, err) == outcome


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)
TOKENS = st.fixed_dictionaries({"tokens": ANY}) | ANY
MODELS = st.fixed_dictionaries({"models": st.dictionaries(st.text(), TOKENS) | ANY})
ITEM = st.fixed_dictionaries({"type": st.just("agent_message")}, optional={"text": ANY})
EVENTS = st.sampled_from(["turn.completed", "turn.failed", "item.completed"])
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "type": EVENTS | ANY,
        "result": ANY,
        "is_error": ANY,
        "usage": ANY,
        "modelUsage": st.dictionaries(st.text(), ANY) | ANY,
        "response": ANY,
        "stats": MODELS | ANY,
        "error": st.fixed_dictionaries({"message": ANY, "code": ANY}) | ANY,
        "item": ITEM | ANY,
    },
)
OUTPUT = st.text() | (DOCUMENT | ANY).map(json.dumps)


@given(st.sampled_from([*PRESETS]), OUTPUT, OUTPUT)
def test_whatever_a_program_says_is_no_failure_of_ours(
    name: str, out: str, err: str
) -> None:
    outcome = PRESETS[name].read(out, err)

    assert outcome.text is None or isinstance(outcome.text, str)
    assert outcome.text is not None or outcome.problem


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("API Error: 529 overloaded", 529),
        ("unexpected status 401 Unauthorized: no", 401),
        ('{"error": {"code": 429}}', 429),
        ("line 404 of the file", None),
        ("error in 500 files", None),
        ("code 4290", None),
    ],
)
def test_a_status_is_read_out_of_words(text: str, status: int | None) -> None:
    assert status_in(text) == status
