"""Lines that are no message, and what is said to who sent them. Pure.

The SDK takes a line apart and, if it cannot, drops it without a word: a client waits
for its answer as long as it has patience. Models do send what no parser takes, such as
half of an emoji that was cut in two. So whatever may be a request is answered with an
error here. Who sent a response or a notification waits for nothing; and an answer that
does not say to what would help nobody, and is none to the clients of MCP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import mcp_types as types
from pydantic import ValidationError

from ipcbus.doors.text import safe_line

MOST_SHOWN: Final = 200
"""Letters of what the parser says."""

_ID: Final = r'"id"\s*:\s*(-?[0-9]{1,18}|"[^"\\]{1,200}")\s*'
_ID_FIRST: Final = re.compile(rf'\s*\{{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?{_ID},')
_ID_LAST: Final = re.compile(rf",\s*{_ID}\}}\s*\Z")
"""Where clients write it, in a line that no parser takes; nowhere else, because the
arguments of a tool may have an `id` too."""


def refusals(line: str) -> list[types.JSONRPCError]:
    """The answers to `line` if it is no message; none to one that is, or is blank."""
    if not line.strip():
        return []
    try:
        types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        return [*_answers(line, _reason(error))]
    return []


def _reason(error: ValidationError) -> str:
    """What is wrong, for who can mend it: not what each kind of message lacks."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return safe_line(found[0]["msg"])[:MOST_SHOWN]
    return "this is no request of JSON-RPC 2.0"


def _answers(line: str, reason: str) -> Iterator[types.JSONRPCError]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        if (id_ := _id_within(line)) is not None:
            yield _error(types.PARSE_ERROR, id_, reason)
        return
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, dict) and _is_awaited(each) and _is_id(each.get("id")):
            yield _error(types.INVALID_REQUEST, each["id"], reason)


def _is_awaited(message: dict[str, Any]) -> bool:
    is_response = "method" not in message and message.keys() & {"result", "error"}
    is_notification = "method" in message and "id" not in message
    return not (is_response or is_notification)


def _id_within(line: str) -> Any:
    found = _ID_FIRST.match(line) or _ID_LAST.search(line)
    return json.loads(found[1]) if found and '"method"' in line else None


def _error(code: int, id_: Any, reason: str) -> types.JSONRPCError:
    error = types.ErrorData(code=code, message=reason)
    return types.JSONRPCError(jsonrpc="2.0", id=id_, error=error)


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return value == value.encode(errors="replace").decode()
    return isinstance(value, int) and not isinstance(value, bool)
