"""The shapes of the tools, held against the types of each API's own SDK.

A type that does not know a word drops it, so nothing may be lost on the way through.
"""

from __future__ import annotations

from functools import cache
from pkgutil import resolve_name
from typing import Any

import pytest
from pydantic import TypeAdapter

from ipcbus.doors.tools import FORMATS, TOOLS, formatted

SDK = {
    "mcp": "mcp.types:Tool",
    "openai": "openai.types.chat:ChatCompletionFunctionToolParam",
    "openai-responses": "openai.types.responses:FunctionToolParam",
    "anthropic": "anthropic.types:ToolParam",
    "gemini": "google.genai.types:FunctionDeclaration",
    "ollama": "ollama:Tool",
}
"""Imported by the tests that ask: that takes seconds, in each process that collects."""

DROPPED = {"ollama": {"minimum", "maximum", "additionalProperties"}}
"""What an SDK does not hand on. The model then hears of a bound when it breaks it."""


def test_every_format_has_an_sdk() -> None:
    assert SDK.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", SDK)
def test_the_sdk_takes_the_tools_and_hands_all_of_them_on(name: str) -> None:
    for shaped in formatted(TOOLS, name):
        taken = adapter_of(name).validate_python(shaped)
        by_alias = name == "mcp"
        sent = adapter_of(name).dump_python(taken, exclude_none=True, by_alias=by_alias)
        assert sent == without(shaped, DROPPED.get(name, set()))


def test_a_word_that_an_sdk_does_not_know_is_found() -> None:
    for name in SDK:
        adapter = adapter_of(name)
        (shaped, *_) = formatted(TOOLS, name)
        if name == "gemini":
            with pytest.raises(ValueError, match="nonsense"):
                adapter.validate_python(shaped | {"nonsense": 1})
        else:
            taken = adapter.validate_python(shaped | {"nonsense": 1})
            assert "nonsense" not in adapter.dump_python(taken)


@cache
def adapter_of(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(resolve_name(SDK[name]))


def without(value: Any, words: set[str]) -> Any:
    """The value, where no dictionary in it has any of these words as a key."""
    if isinstance(value, dict):
        return {k: without(v, words) for k, v in value.items() if k not in words}
    return value
