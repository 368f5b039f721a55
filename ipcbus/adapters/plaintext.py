"""A turn as plain text, and tool calls read back out of an answer. Pure.

For programs that take one text and give one back. Parts of the conversation have a
heading of `===`, and no line of what was said can pass for one; what peers wrote has
stood behind bars before it came here. A block of calls is told by a mark that is new
in each turn: no peer can know it, so that a text of theirs which a model repeats is
never a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ipcbus.adapters.base import ASSISTANT, TOOL, Said, ToolCall, Turn
from ipcbus.doors.text import safe
from ipcbus.doors.tools.tool import Tool

HEADING: Final = "==="

_NAME: Final = re.compile(r'"name"\s*:\s*"([\w-]{1,64})"')

_TOOLS: Final = """\
Tools that you can use by ending your answer with such a block, one call a line; then \
stop, and you will be shown what they answered:
```{mark}
{{"name": "send", "arguments": {{"to": "bob", "text": "hello"}}}}
```
Answer without a block when you need no tool. There are:"""

_ANSWER: Final = "Answer the last of this now, with nothing but your answer."


def rendered(turn: Turn, mark: str = "") -> str:
    """The whole turn for a model that reads text; tools only with a `mark`."""
    parts = [turn.system.strip()]
    if mark and turn.tools:
        parts.append("\n".join([_TOOLS.format(mark=mark), *map(_tool, turn.tools)]))
    for one in turn.said:
        parts += _said(one)
    parts.append(f"{HEADING} end {HEADING}\n{_ANSWER}")
    return "\n\n".join(part for part in parts if part)


def as_json(turn: Turn) -> str:
    """The whole turn for a program that wants it as data: system, said, tools."""
    said = [
        {
            "role": one.role,
            "text": one.text,
            "calls": [call._asdict() for call in one.calls],
            "call": one.call._asdict() if one.call else None,
        }
        for one in turn.said
    ]
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": tool.schema}
        for tool in turn.tools
    ]
    return json.dumps(
        {"system": turn.system, "said": said, "tools": tools}, default=str
    )


def _tool(tool: Tool) -> str:
    schema = json.dumps(tool.schema, separators=(",", ":"))
    return f"- {tool.name}: {tool.description}\n  {schema}"


def _said(one: Said) -> Iterator[str]:
    if one.role == TOOL:
        name = one.call.name if one.call else "a tool"
        yield _part(f"{name} answered", one.text)
        return
    if one.text or not one.calls:
        yield _part("you said" if one.role == ASSISTANT else "message", one.text)
    for call in one.calls:
        yield _part(f"you called {call.name}", json.dumps(call.arguments, default=str))


def _part(heading: str, text: str) -> str:
    """A line that looks like a heading is moved in by one letter."""
    lines = (
        f" {line}" if line.startswith(HEADING) else line
        for line in safe(text).split("\n")
    )
    title = re.sub(r"[^\w -]", "?", heading)
    return "\n".join([f"{HEADING} {title} {HEADING}", *lines])


# --- back --------------------------------------------------------------------


def calls_in(answer: str, mark: str) -> tuple[str, tuple[ToolCall, ...]]:
    """The words of an answer without its blocks of calls, and the calls."""
    block = re.compile(
        rf"^[ \t]*```{re.escape(mark)}[ \t]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)",
        re.DOTALL | re.MULTILINE,
    )
    found = [one for part in block.findall(answer) for one in _objects(part)]
    if not found:
        return answer, ()
    calls = tuple(_call(f"{mark}-{at}", one) for at, one in enumerate(found, 1))
    return block.sub("", answer).strip(), calls


def _objects(block: str) -> Iterator[Any]:
    """What a block holds: one JSON text in all, or one a line; what is no JSON as the
    text it is."""
    try:
        whole = json.loads(block)
    except (ValueError, RecursionError):
        for line in filter(str.strip, block.splitlines()):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield line.strip()
    else:
        yield from whole if isinstance(whole, list) else [whole]


def _call(id_: str, found: Any) -> ToolCall:
    """What cannot be read goes on as it is: the model is told what is wrong with it."""
    if isinstance(found, dict) and isinstance(found.get("name"), str):
        return ToolCall(id_, found["name"], found.get("arguments", {}))
    text = found if isinstance(found, str) else json.dumps(found)
    name = _NAME.search(text)
    return ToolCall(id_, name[1] if name else "call", text)
