"""From bytes to what an old program asks. PURE.

    {"action": "register", "instance_id", "auth_token"}
    {"action": "send", "to_id", "message": {"content", "data"}, "session_token"}
    {"action": "broadcast", "message", "session_token"}
    {"action": "check" / "list", "session_token"}
    {"action": "rename", "new_id", "session_token"}

`from_id`, `instance_id` and `old_id` of all but `register` are not looked at: who asks
is told by the session.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ipcbus_bridges.claude_ipc import names
from ipcbus_bridges.claude_ipc.framing import BadRequest


class Register(NamedTuple):
    name: str
    auth_token: object
    session_token: str | None


class Said(NamedTuple):
    """A message as it was given. `more` is what stands beside content and data."""

    content: str
    data: Any
    more: dict[str, Any]


class Send(NamedTuple):
    """`given` is the recipient in the sender's words, `to` its address."""

    given: str
    to: str
    said: Said


class Broadcast(NamedTuple):
    said: Said


class Check(NamedTuple):
    pass


class List(NamedTuple):
    pass


class Rename(NamedTuple):
    new: str


class Unknown(NamedTuple):
    """An action that there is none of; told after the session was looked at, as the
    old server did."""

    action: object


Action = Send | Broadcast | Check | List | Rename | Unknown


class Asked(NamedTuple):
    """What the holder of a session asks."""

    session_token: str | None
    action: Action


def read(raw: bytes) -> Register | Asked:
    """Raises `BadRequest` with what its sender is told."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise BadRequest("Bad request: it is not UTF-8") from None
    except BadRequest:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Bad request: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest("Bad request: send one JSON object")
    token = found.get("session_token")
    session = token if isinstance(token, str) else None
    if found.get("action") == "register":
        return _register(found, session)
    return Asked(session, _action(found))


def _no_number(name: str) -> object:
    raise BadRequest(f"Bad request: {name} is no JSON")


def _register(found: dict[str, Any], session: str | None) -> Register:
    name = found.get("instance_id")
    if not names.is_old(name):
        if isinstance(name, str) and name.lower() in names.RESERVED:
            raise BadRequest(f"Invalid instance ID: {name} is the network's own name")
        raise BadRequest(
            "Invalid instance ID format. Use 1-32 alphanumeric characters, hyphens, or "
            "underscores."
        )
    assert isinstance(name, str)
    return Register(name, found.get("auth_token"), session)


def _action(found: dict[str, Any]) -> Action:
    match found.get("action"):
        case "send":
            given = found.get("to_id")
            to = names.address(given)
            if to is None:
                raise BadRequest("Invalid recipient ID format")
            assert isinstance(given, str)
            return Send(given, to, _said(found.get("message")))
        case "broadcast":
            return Broadcast(_said(found.get("message")))
        case "check":
            return Check()
        case "list":
            return List()
        case "rename":
            new = found.get("new_id")
            if not names.is_old(new):
                raise BadRequest("Invalid new instance ID format")
            assert isinstance(new, str)
            return Rename(new)
        case other:
            return Unknown(other)


def _said(message: object) -> Said:
    if not isinstance(message, dict):
        raise BadRequest('Bad message: send {"content": "...", "data": {...}}')
    content = message.get("content", "")
    if not isinstance(content, str):
        raise BadRequest("Bad message: its content must be a text")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise BadRequest("Bad message: its content is not valid text") from None
    more = {k: v for k, v in message.items() if k not in ("content", "data")}
    return Said(content, message.get("data"), more)
