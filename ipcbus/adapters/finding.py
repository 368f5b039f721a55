"""Adapters by their names: those of this package, and those that others bring.

The names of the built-in ones are known without a look at what is installed, which
takes 40 ms. For any other name, and to list them all, the entry points of the group
`ipcbus.adapters` are asked. A package that is broken costs a warning, one line, and
nothing else.

IPCBUS_LOAD_PLUGINS says which packages may be asked: `a,b` only these, and empty none.
Without it all are.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.adapters.base import Adapter, Options
from ipcbus.doors.text import safe_line
from ipcbus.errors import AdapterFailed, AdapterMissing, IpcbusError
from ipcbus.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "ipcbus.adapters"
SWITCH: Final = "IPCBUS_LOAD_PLUGINS"
PACKAGE: Final = "ipcbus"

BUILT_IN: Final[Mapping[str, str]] = {
    "anthropic": "ipcbus.adapters.anthropic:Anthropic",
    "openai": "ipcbus.adapters.openai:OpenAi",
    "gemini": "ipcbus.adapters.gemini:Gemini",
    "ollama": "ipcbus.adapters.ollama:Ollama",
    "command": "ipcbus.adapters.command:Command",
    "echo": "ipcbus.adapters.echo:Echo",
    "script": "ipcbus.adapters.script:Script",
}

Make = Callable[[Options], Adapter]
Tell = Callable[[str], object]
"""Takes one line about a package that is broken."""


class Entry(NamedTuple):
    """An adapter that can be used.

    Attributes:
        where: its module and class, as `module:Class`.
        package: the distribution that brings it, and its version.
        needs: the extra of ipcbus that it needs; empty for none.
    """

    name: str
    where: str
    package: str
    version: str
    needs: str


def find(name: str, tell: Tell) -> Make:
    """The class of the adapter called `name`.

    Raises `AdapterMissing` if there is none, or its package cannot be loaded.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        made: Make = getattr(import_module(module), attribute)
        return made
    points = _plugins(tell)
    if name not in points:
        raise AdapterMissing(adapter=name, reason=_nobody(name, points))
    found, problem = _loaded(points[name])
    if found is None:
        raise AdapterMissing(adapter=name, reason=f"{_of(points[name])}: {problem}")
    return found


def make(name: str, options: Options, tell: Tell) -> Adapter:
    """An adapter that is ready for turns.

    Raises `AdapterMissing`, `UsageError` for options that it does not take, and
    `AdapterFailed` for whatever else goes wrong in it.
    """
    kind = find(name, tell)
    try:
        return kind(options)
    except IpcbusError:
        raise
    except Exception as error:
        raise AdapterFailed(adapter=name, reason=_words(error)) from error


async def let_go(name: str, adapter: Adapter, tell: Tell) -> None:
    """Close it. What goes wrong in that is told and changes nothing any more."""
    try:
        await adapter.close()
    except Exception as error:  # noqa: BLE001  of a plug-in, whatever it is
        tell(f"{safe_line(name)} did not close: {safe_line(_words(error))}")


def entries(tell: Tell) -> list[Entry]:
    """All that can be used: the built-in ones, and those of others that load."""
    found = [
        Entry(name, where, PACKAGE, __version__, _needs(find(name, tell)))
        for name, where in BUILT_IN.items()
    ]
    for name, point in _plugins(tell).items():
        kind, problem = _loaded(point)
        if kind is None:
            tell(f"{_of(point)}: the adapter {safe_line(name)} is left out: {problem}")
        else:
            package, version = _package(point)
            found.append(Entry(name, point.value, package, version, _needs(kind)))
    return found


# --- what others bring -------------------------------------------------------


def _plugins(tell: Tell) -> dict[str, EntryPoint]:
    """Entry points by name. A name that is taken is told and left out."""
    switch = os.environ.get(SWITCH)
    if switch == "":
        return {}
    from importlib.metadata import entry_points

    wanted = None if switch is None else set(map(_plain, switch.split(",")))
    points = sorted(entry_points(group=GROUP), key=_package)
    found: dict[str, EntryPoint] = {}
    for point in points:
        package, _ = _package(point)
        if BUILT_IN.get(point.name) == point.value:
            continue  # our own
        if wanted is not None and _plain(package) not in wanted:
            continue
        if point.name in BUILT_IN or point.name in found:
            taken = found.get(point.name)
            owner = PACKAGE if taken is None else _package(taken)[0]
            name = safe_line(point.name)
            tell(f"{_of(point)}: {name} is left out: {owner} has one of that name")
            continue
        found[point.name] = point
    return found


def _loaded(point: EntryPoint) -> tuple[Make | None, str]:
    """The class, or why there is none."""
    try:
        kind = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  theirs, whatever it is
        return None, _words(error)
    lacks = list(lacking(kind))
    return (None, ", ".join(lacks)) if lacks else (kind, "")


def lacking(kind: Any) -> Iterator[str]:
    """What keeps `kind` from being an adapter's class, by `base.Adapter`."""
    if not isinstance(kind, type):
        yield f"{safe_line(repr(kind))} is no class"
        return
    for name in ("turn", "check", "close"):
        if not inspect.iscoroutinefunction(getattr(kind, name, None)):
            yield f"it has no `async def {name}`"
    if not isinstance(getattr(kind, "needs", None), str):
        yield "it has no text `needs`"
    if not _takes_options(kind):
        yield "it cannot be made with Options alone"


def _takes_options(kind: type) -> bool:
    try:
        inspect.signature(kind).bind(Options())
    except (TypeError, ValueError):
        return False
    return True


def _nobody(name: str, points: Mapping[str, EntryPoint]) -> str:
    known = [*BUILT_IN, *points]
    if near := get_close_matches(name, known, 1, 0.6):
        return f"there is no such adapter; did you mean {near[0]}?"
    return f"there is no such adapter; there are: {', '.join(known)}"


def _needs(kind: Any) -> str:
    return str(kind.needs)


def _package(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that an entry point is of."""
    if point.dist is None:
        return "(unknown package)", ""
    return safe_line(point.dist.name), safe_line(point.dist.version)


def _of(point: EntryPoint) -> str:
    return " ".join(_package(point)).strip()


def _plain(package: str) -> str:
    """As https://packaging.python.org/en/latest/specifications/name-normalization."""
    return re.sub(r"[-_.]+", "-", package.strip()).lower()


def _words(error: BaseException) -> str:
    return safe_line(f"{type(error).__name__}: {error}")
