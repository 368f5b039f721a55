"""The shapes of the APIs, held against a file and against what each API takes.

No client is needed for it. `golden.json` is what a sample tool, with an argument of
each kind, looks like in each format; who changes a shape reads the documents named in
`formats.py` and writes the file by `python -m tests.doors.apis.test_formats`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ipcbus.doors.tools import FORMATS, TOOLS, Tool, formatted
from ipcbus.doors.tools.tool import count, flag, text, texts

GOLDEN = Path(__file__).with_name("golden.json")

SAMPLE = Tool(
    "sample",
    "Does nothing.",
    {
        "to": text("who"),
        "urgent": flag("at once"),
        "topics": texts("which"),
        "limit": count("how many", 1, 20),
    },
    ("to",),
    "nowhere:nothing",
)

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What all of the APIs take as a name."""

KEYWORDS = {
    "type",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
}
"""What strict schemas of OpenAI, the schemas of Gemini and MCP have in common.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
https://ai.google.dev/gemini-api/docs/structured-output#json_schema_support
"""


def shapes() -> dict[str, Any]:
    return {name: formatted([SAMPLE], name)[0] for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_the_shape_that_its_api_documents(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == FORMATS.keys()
    assert formatted([SAMPLE], name) == [golden[name]]


@pytest.mark.parametrize("name", FORMATS)
def test_every_tool_fits_the_format(name: str) -> None:
    shaped = formatted(TOOLS, name)
    assert len(shaped) == len(TOOLS)
    for tool, one in zip(TOOLS, shaped, strict=True):
        assert NAME.fullmatch(tool.name)
        inner = one.get("function", one)
        assert (inner["name"], inner["description"]) == (tool.name, tool.description)
        keywords = {
            keyword for schema in _schemas(_schema(inner)) for keyword in schema
        }
        assert keywords <= KEYWORDS


@pytest.mark.parametrize("name", ["openai", "openai-responses"])
def test_strict_schemas_name_every_argument_as_required(name: str) -> None:
    for one in formatted(TOOLS, name):
        inner = one.get("function", one)
        schema = _schema(inner)
        assert inner["strict"] is True
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize("name", FORMATS)
def test_a_tool_can_be_called_with_its_required_arguments_alone(name: str) -> None:
    """Those of a strict schema that are not needed may be null."""
    for tool, one in zip(TOOLS, formatted(TOOLS, name), strict=True):
        schema = _schema(one.get("function", one))
        for argument in schema["required"]:
            may_be_null = "null" in schema["properties"][argument]["type"]
            assert may_be_null == (argument not in tool.required)


def _schema(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The one value that is an object's schema, whatever the API calls it."""
    found = [v for v in tool.values() if isinstance(v, dict) and "properties" in v]
    (schema,) = found
    assert schema["type"] == "object"
    return dict(schema)


def _schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from _schemas(inner)
    if "items" in schema:
        yield from _schemas(schema["items"])


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(shapes(), indent=2) + "\n")
