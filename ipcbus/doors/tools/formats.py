"""The tools in the shapes that the APIs of models take.

Sources: https://modelcontextprotocol.io/specification (tools/list),
https://platform.openai.com/docs/guides/function-calling (chat and responses),
https://docs.anthropic.com/en/docs/build-with-claude/tool-use,
https://ai.google.dev/gemini-api/docs/function-calling,
https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ipcbus.doors.tools.tool import Schema, Tool

Shape = Callable[[Tool], dict[str, Any]]


def formatted(tools: Iterable[Tool], name: str) -> list[dict[str, Any]]:
    """All of `tools` for the API called `name`, one of `FORMATS`."""
    return [FORMATS[name](tool) for tool in tools]


def mcp(tool: Tool) -> dict[str, Any]:
    return _named(tool) | {"inputSchema": tool.schema}


def openai(tool: Tool) -> dict[str, Any]:
    """Chat completions, of OpenAI and of all servers that speak as it does."""
    return {"type": "function", "function": _strict(tool)}


def openai_responses(tool: Tool) -> dict[str, Any]:
    return {"type": "function", **_strict(tool)}


def anthropic(tool: Tool) -> dict[str, Any]:
    return _named(tool) | {"input_schema": tool.schema}


def gemini(tool: Tool) -> dict[str, Any]:
    """One of the `function_declarations`."""
    return _named(tool) | {"parameters_json_schema": tool.schema}


def ollama(tool: Tool) -> dict[str, Any]:
    """As chat completions, but it knows no strictness."""
    return {"type": "function", "function": _named(tool) | {"parameters": tool.schema}}


FORMATS: Final[Mapping[str, Shape]] = {
    "mcp": mcp,
    "openai": openai,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}


def _named(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description}


def _strict(tool: Tool) -> dict[str, Any]:
    """Strict schemas have every argument required; what may be left out may be null."""
    properties = {
        name: schema if name in tool.required else _or_null(schema)
        for name, schema in tool.properties.items()
    }
    parameters = tool.schema | {
        "properties": properties,
        "required": list(tool.properties),
    }
    return _named(tool) | {"parameters": parameters, "strict": True}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}
