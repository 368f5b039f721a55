"""Carrying out a call: always one JSON object, also when it failed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ipcbus.doors.text import safe_line
from ipcbus.doors.tools.arguments import checked
from ipcbus.doors.tools.pages import safe_data
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.doors.tools.tool import Tool
from ipcbus.errors import IpcbusError, UsageError

if TYPE_CHECKING:
    from ipcbus.doors.tools.desk import Desk


def call(desk: Desk, name: str, args: object) -> dict[str, Any]:
    """The answer of a tool, or `{"error": {"code", "message", ...}}`.

    It is the sign that what was shown before was seen.
    """
    try:
        return run(desk, name, args)
    except IpcbusError as error:
        return {"error": failure(error)}
    except OSError as error:  # files that are to be attached or saved
        return {"error": failure(IpcbusError(reason=str(error)))}


def run(desk: Desk, name: str, args: object) -> dict[str, Any]:
    """The same, but errors are raised."""
    tool = _find(name)
    given = checked(tool, args)
    desk.confirm(given.get("nack", ()))
    module, _, function = tool.where.partition(":")
    answer: dict[str, Any] = getattr(import_module(module), function)(desk, given)
    return answer


def failure(error: IpcbusError) -> dict[str, Any]:
    """What a model is told of an error; facts may hold what peers wrote."""
    facts = {
        name: value
        for name, value in safe_data(error.facts).items()
        if name in ("id", "near", "limit", "until", "status")
    }
    return {"code": error.code, "message": safe_line(str(error)), **facts}


def _find(name: str) -> Tool:
    tool = BY_NAME.get(name)
    if tool is None:
        known = ", ".join(BY_NAME)
        raise UsageError(reason=f"there is no tool {name[:40]!r}; there are {known}")
    return tool
