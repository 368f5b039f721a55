"""The walls of the house.

`MAY_IMPORT` is the architecture: which room may know of which. A room is a package or
a module; what stands in it is what it may import beside itself. The most exact entry
counts. Nothing here is run or imported, only read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

CORE = ("ipcbus.errors", "ipcbus.protocol")
DOOR = (
    *CORE,
    "ipcbus.units",
    "ipcbus.version",
    "ipcbus.cores",
    "ipcbus.networks",
    "ipcbus.config",
    "ipcbus.client",
)

SHOWN = ("ipcbus.doors.text", "ipcbus.doors.view", "ipcbus.doors.saving")

MAY_IMPORT: Final[Mapping[str, tuple[str, ...]]] = {
    "ipcbus": (
        *CORE,
        "ipcbus.units",
        "ipcbus.version",
        "ipcbus.config.document",
        "ipcbus.client",
        "ipcbus.testing",
    ),
    "ipcbus.__main__": ("ipcbus.doors.cli",),
    "ipcbus.errors": (),
    "ipcbus.version": (),
    "ipcbus.cores": (),
    "ipcbus.units": ("ipcbus.errors",),
    "ipcbus.protocol": ("ipcbus.errors",),
    "ipcbus.networks": ("ipcbus.errors", "ipcbus.protocol.address"),
    "ipcbus.store.records": CORE,
    "ipcbus.store.base": (*CORE, "ipcbus.store.records"),
    "ipcbus.store": CORE,
    "ipcbus.broker": (*CORE, "ipcbus.store.base", "ipcbus.store.records"),
    "ipcbus.config": (*CORE, "ipcbus.units", "ipcbus.broker.settings"),
    "ipcbus.transport": (
        *CORE,
        "ipcbus.version",
        "ipcbus.cores",
        "ipcbus.store",
        "ipcbus.broker",
        "ipcbus.networks",
        "ipcbus.config",
    ),
    "ipcbus.client": (
        *CORE,
        "ipcbus.version",
        "ipcbus.networks",
        "ipcbus.config",
        "ipcbus.transport",
    ),
    "ipcbus.doctor": (
        *CORE,
        "ipcbus.units",
        "ipcbus.version",
        "ipcbus.networks",
        "ipcbus.config",
        "ipcbus.transport",
        "ipcbus.store.sqlite.offline",  # it looks into stores that nobody serves
    ),
    "ipcbus.doors.text": (),
    "ipcbus.doors.view": (*DOOR, "ipcbus.doors.text"),
    "ipcbus.doors.saving": DOOR,
    "ipcbus.doors.tools": (*DOOR, *SHOWN),
    "ipcbus.doors.mcp": (*DOOR, *SHOWN, "ipcbus.doors.tools"),
    "ipcbus.doors.language": (*DOOR, *SHOWN, "ipcbus.doors.tools"),
    "ipcbus.doors.notice": (*DOOR, *SHOWN, "ipcbus.doors.tools"),
    "ipcbus.doors.install": (*DOOR, *SHOWN),
    "ipcbus.doors.cli": (
        *DOOR,
        *SHOWN,
        "ipcbus.doors.tools",
        "ipcbus.doors.mcp",
        "ipcbus.doors.language",
        "ipcbus.doors.notice",
        "ipcbus.doors.install",
        "ipcbus.adapters",  # `agent` runs one
        "ipcbus.doctor",
        "ipcbus_bridges",  # `bridge` runs one, and `bridges explain` asks its rules
        "ipcbus.transport",  # `up` serves in the foreground
        "ipcbus.store.sqlite.offline",  # `restore` works where no broker can
    ),
    "ipcbus.doors.demo": DOOR,
    "ipcbus.doors.web": (*DOOR, *SHOWN),
    "ipcbus.doors": (),
    "ipcbus.adapters": (*DOOR, *SHOWN, "ipcbus.doors.tools"),
    "ipcbus.testing": (*DOOR, "ipcbus.store", "ipcbus.broker", "ipcbus.transport"),
    "ipcbus_bridges": ("ipcbus",),
}

EXACTLY: Final = {"ipcbus_bridges": "ipcbus"}
"""A bridge gets the public face and nothing beneath it."""

PURE: Final = (
    "ipcbus.errors",
    "ipcbus.protocol",
    "ipcbus.broker",
    "ipcbus.store.base",
    "ipcbus.store.records",
)
"""What takes values and returns values: clocks, chance and I/O are handed in."""

WORLD: Final = frozenset(
    {
        *("zmq", "socket", "select", "selectors", "asyncio", "signal"),
        *("sqlite3", "apsw", "os", "io", "tempfile", "logging"),
        *("threading", "multiprocessing", "subprocess"),
        *("time", "random", "secrets", "uuid"),
    }
)

ONLY_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "zmq": ("ipcbus.transport", "ipcbus.client"),  # the client polls what it is given
    "apsw": ("ipcbus.store",),
    "sqlite3": ("ipcbus_bridges.claude_ipc",),  # it reads the old server's database
    "yaml": ("ipcbus.config",),
    "msgpack": ("ipcbus.protocol", "ipcbus.client.invitations"),
    "click": ("ipcbus.doors",),
}
"""Libraries that are the business of a few rooms."""


def _python_files(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def _module(path: Path) -> str:
    """The dotted name under which a file of the product is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "bridges":
        parts.pop(0)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


PRODUCT: Final = {
    _module(path): path for path in _python_files("ipcbus", "bridges/ipcbus_bridges")
}


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that is imported, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield node.lineno, inner if inner in PRODUCT else node.module or ""


def _room_of(module: str) -> str:
    rooms = [room for room in MAY_IMPORT if room != "ipcbus" and _within(module, room)]
    return max(rooms, key=len) if rooms else "ipcbus"


def _why_not(module: str, imported: str) -> str | None:
    """Why `module` may not import `imported`; None if it may."""
    if imported.startswith("."):
        return "imports are absolute here"
    library = imported.split(".")[0]
    if library in WORLD and any(_within(module, room) for room in PURE):
        return f"{_room_of(module)} is pure and may not use {library}"
    rooms = ONLY_IN.get(library)
    if rooms is not None and not any(_within(module, room) for room in rooms):
        return f"only {' '.join(rooms) or 'nobody'} may use {library}"
    if library not in ("ipcbus", "ipcbus_bridges"):
        return None
    return _why_not_room(module, imported)


def _why_not_room(module: str, imported: str) -> str | None:
    room = _room_of(module)
    if room == "ipcbus" and module != room:
        return f"{module} is in no room: say in MAY_IMPORT what it may know of"
    if room in EXACTLY and _within(imported, EXACTLY[room]):
        return None if imported == "ipcbus" else "a bridge sees only the public face"
    if imported != "ipcbus" and room != "ipcbus" and _within(imported, room):
        return None
    allowed = MAY_IMPORT[room]
    if any(imported == one or _within(imported, one) for one in allowed):
        return None
    return f"{room} may import {', '.join(allowed) or 'nothing of this house'}"


def breaches(module: str, path: str, source: str) -> list[str]:
    """Each import of a file that breaks a wall, as `file:line: what and why`."""
    tree = ast.parse(source)
    found = [
        f"{path}:{line}: imports {imported}: {reason}"
        for line, imported in dict.fromkeys(_imported(tree))
        if (reason := _why_not(module, imported))
    ]
    if not _within(module, "ipcbus.transport"):
        found += [
            f"{path}:{line}: only ipcbus.transport opens ZeroMQ sockets"
            for line in _sockets(tree)
        ]
    return found


def _sockets(tree: ast.Module) -> Iterator[int]:
    """Lines with `zmq.Context` or a `socket` made of a context."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name("zmq"), attr="Context", lineno=line):
                yield line
            case ast.Call(func=ast.Attribute(value=value, attr="socket"), lineno=line):
                if not (isinstance(value, ast.Name) and value.id == "socket"):
                    yield line


# --- the walls ---------------------------------------------------------------


def test_imports_point_down_only() -> None:
    found = [
        breach
        for module, path in PRODUCT.items()
        for breach in breaches(module, str(path.relative_to(ROOT)), path.read_text())
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_room_of_the_house_is_in_the_table() -> None:
    """A new room under ipcbus/ must say what it may import."""
    house = [module for module in PRODUCT if _within(module, "ipcbus")]
    rooms = {".".join(module.split(".")[:2]) for module in house}
    assert rooms <= set(MAY_IMPORT)
    doors = {m for m in PRODUCT if m.startswith("ipcbus.doors.")}
    assert {".".join(door.split(".")[:3]) for door in doors} <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("module", "source", "named"),
    [
        ("ipcbus.broker.state", "import zmq", "pure"),
        ("ipcbus.broker.state", "from time import monotonic", "pure"),
        ("ipcbus.broker.state", "def f():\n    import random", "pure"),
        ("ipcbus.broker.state", "from os.path import join", "pure"),
        ("ipcbus.broker.state", "from ipcbus.store import sqlite", "store.base"),
        ("ipcbus.broker.state", "from ipcbus.client import Client", "broker may"),
        ("ipcbus.protocol.codec", "import asyncio", "pure"),
        ("ipcbus.protocol.codec", "from ipcbus.broker import events", "protocol may"),
        ("ipcbus.store.base", "import apsw", "pure"),
        ("ipcbus.store.memory", "from ipcbus.broker.settings import Settings", "store"),
        ("ipcbus.store.sqlite.mail", "import sqlite3", "claude_ipc"),
        ("ipcbus.errors", "from ipcbus.protocol import limits", "nothing"),
        ("ipcbus.networks", "from ipcbus.protocol import limits", "networks may"),
        ("ipcbus.networks", "import zmq", "ipcbus.transport"),
        ("ipcbus.client.sync", "import apsw", "ipcbus.store"),
        ("ipcbus.client.sync", "made = context.socket(kind)", "opens ZeroMQ"),
        ("ipcbus.client.sync", "made = zmq.Context()", "opens ZeroMQ"),
        ("ipcbus.client.sync", "from ipcbus.doors.cli import app", "client may"),
        ("ipcbus.client.sync", "from ipcbus.broker.state import Broker", "client may"),
        ("ipcbus.doors.cli.app", "import ipcbus.doors.web.app", "doors.cli may"),
        ("ipcbus.doors.mcp.server", "import ipcbus.doors.cli.app", "doors.mcp may"),
        ("ipcbus.doors.cli.app", "from . import output", "absolute"),
        ("ipcbus.transport.serve", "import ipcbus", "transport may"),
        ("ipcbus_bridges.link", "from ipcbus.client import Client", "public face"),
        ("ipcbus_bridges.link", "import ipcbus.errors", "public face"),
        ("ipcbus_bridges.link", "import zmq", "ipcbus.transport"),
        ("ipcbus.doors.web.app", "import zmq", "ipcbus.transport"),
    ],
)
def test_a_planted_breach_is_found_by_file_and_line(
    module: str, source: str, named: str
) -> None:
    [found] = breaches(module, "planted.py", f"import sys\n{source}\n")
    line = 3 if "\n" in source else 2
    assert found.startswith(f"planted.py:{line}: ")
    assert named in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ipcbus.broker.state", "from ipcbus.store.base import Store"),
        ("ipcbus.broker.state", "from ipcbus.protocol import limits, address"),
        ("ipcbus.broker.state", "from ipcbus.broker.turn import Turn"),
        ("ipcbus.transport.router", "import zmq"),
        ("ipcbus.doors.cli.app", "from ipcbus.doors.cli.output import show"),
        ("ipcbus.doors.cli.app", "import click"),
        ("ipcbus_bridges.link", "import ipcbus"),
        ("ipcbus_bridges.link", "from ipcbus import connect"),
        ("ipcbus_bridges.link", "from ipcbus_bridges.rules import Rules"),
    ],
)
def test_what_the_table_allows_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, "fine.py", source) == []
