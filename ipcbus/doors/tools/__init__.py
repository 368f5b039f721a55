"""The tools that models use, made once for all doors.

`registry` says what there is, `formats` in the words of each API; `call` carries a
tool out for the model that sits at a `Desk`. Names are loaded when they are used, for
printing schemas needs no client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipcbus.doors.tools.calls import call
    from ipcbus.doors.tools.desk import Desk
    from ipcbus.doors.tools.formats import FORMATS, formatted
    from ipcbus.doors.tools.registry import INSTRUCTIONS, TOOLS
    from ipcbus.doors.tools.tool import Tool

_WHERE = {
    "Desk": "desk",
    "FORMATS": "formats",
    "INSTRUCTIONS": "registry",
    "TOOLS": "registry",
    "Tool": "tool",
    "call": "calls",
    "formatted": "formats",
}

__all__ = ["FORMATS", "INSTRUCTIONS", "TOOLS", "Desk", "Tool", "call", "formatted"]


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{where}"), name)
    globals()[name] = found
    return found
