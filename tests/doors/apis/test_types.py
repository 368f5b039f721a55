"""The shapes of the tools, held against the types of each API's own SDK.

A type that does not know a word drops it, so nothing may be lost on the way through.
"""

from __future__ import annotations

from typing import Any

import ollama
import pytest
from anthropic.types import ToolParam
from google.genai.types import FunctionDeclaration
from mcp.types import Tool as McpTool
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import TypeAdapter

from ipcbus.doors.tools import FORMATS, TOOLS, formatted

SDK: dict[str, TypeAdapter[Any]] = {
    "mcp": TypeAdapter(McpTool),
    "openai": TypeAdapter(ChatCompletionFunctionToolParam),
    "openai-responses": TypeAdapter(FunctionToolParam),
    "anthropic": TypeAdapter(ToolParam),
    "gemini": TypeAdapter(FunctionDeclaration),
    "ollama": TypeAdapter(ollama.Tool),
}

DROPPED = {"ollama": {"minimum", "maximum", "additionalProperties"}}
"""What an SDK does not hand on. The model then hears of a bound when it breaks it."""


def test_every_format_has_an_sdk() -> None:
    assert SDK.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", SDK)
def test_the_sdk_takes_the_tools_and_hands_all_of_them_on(name: str) -> None:
    for shaped in formatted(TOOLS, name):
        taken = SDK[name].validate_python(shaped)
        by_alias = name == "mcp"
        sent = SDK[name].dump_python(taken, exclude_none=True, by_alias=by_alias)
        assert sent == without(shaped, DROPPED.get(name, set()))


def test_a_word_that_an_sdk_does_not_know_is_found() -> None:
    for name, adapter in SDK.items():
        (shaped, *_) = formatted(TOOLS, name)
        if name == "gemini":
            with pytest.raises(ValueError, match="nonsense"):
                adapter.validate_python(shaped | {"nonsense": 1})
        else:
            taken = adapter.validate_python(shaped | {"nonsense": 1})
            assert "nonsense" not in adapter.dump_python(taken)


def without(value: Any, words: set[str]) -> Any:
    """The value, where no dictionary in it has any of these words as a key."""
    if isinstance(value, dict):
        return {k: without(v, words) for k, v in value.items() if k not in words}
    return value
