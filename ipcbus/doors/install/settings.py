"""Our entries in the settings of a tool: put in, renewed, taken out. Pure.

    { "mcpServers": { "ipcbus": SERVER },
      "hooks": { EVENT: [ { "hooks": [ HANDLER, ... ] }, ... ], ... } }

Ours are the server called `ipcbus` if its command is ipcbus, and the handlers that run
`ipcbus hook TOOL`. All else is somebody's and stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ipcbus.doors.install import jsonc, surgery
from ipcbus.doors.install.commands import HOME, is_our_hook, is_our_server
from ipcbus.doors.install.jsonc import Path, Value

SERVERS: Final = "mcpServers"
SERVER: Final = "ipcbus"
HOOKS: Final = "hooks"


class Foreign(ValueError):
    """An MCP server has our name and is another program."""


def add_server(text: str, entry: Mapping[str, Any]) -> str:
    """`text` with our MCP server. What the user added to the entry is kept.

    Raises `Foreign`, `Misfit`, `Unreadable`.
    """
    there = jsonc.find(jsonc.parse(text), (SERVERS, SERVER))
    if there is None:
        return surgery.put(text, (SERVERS, SERVER), entry)
    old = jsonc.python(text, there)
    if not is_our_server(old):
        raise Foreign(f"{SERVERS}.{SERVER}")
    new = renewed(old, entry)
    return text if new == old else surgery.replace(text, there, new)


def renewed(old: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """An older entry of ours made new."""
    kept = old.get("env")
    env = {k: v for k, v in kept.items() if k != HOME} if isinstance(kept, dict) else {}
    env.update(entry.get("env", {}))
    new = {**old, **entry, "env": env}
    if not env and (kept or "env" not in old):
        del new["env"]
    return new


def remove_server(text: str, before: str) -> str:
    """`text` without our MCP server; see `surgery.remove` for `before`."""
    there = jsonc.find(jsonc.parse(text), (SERVERS, SERVER))
    if there is None or not is_our_server(jsonc.python(text, there)):
        return text
    return surgery.remove(text, (SERVERS, SERVER), before)


# --- hooks -------------------------------------------------------------------


def add_hooks(text: str, tool: str, groups: Mapping[str, Any], before: str) -> str:
    """`text` with our group for each event and no other handler of ours; `before` as
    in `surgery.remove`, for what is of an older version. Raises `Misfit`, `Unreadable`.
    """
    for event in _events(text):
        if event not in groups:
            text = _remove_event(text, tool, event, before)
    for event, group in groups.items():
        text = _add_event(text, tool, event, group, before)
    return text


def remove_hooks(text: str, tool: str, before: str) -> str:
    """`text` without our handlers; see `surgery.remove` for `before`."""
    for event in _events(text):
        text = _remove_event(text, tool, event, before)
    return text


def _add_event(text: str, tool: str, event: str, group: Any, before: str) -> str:
    ours = list(_ours(text, tool, event))
    if len(ours) == 1 and len(ours[0]) == len((HOOKS, event, 0)):
        there = jsonc.find(jsonc.parse(text), ours[0])
        assert there is not None
        same = jsonc.python(text, there) == group
        return text if same else surgery.replace(text, there, group)
    text = _remove_event(text, tool, event, before)
    return surgery.append(text, (HOOKS, event), group)


def _remove_event(text: str, tool: str, event: str, before: str) -> str:
    """From the last to the first, so that the places of the others stay right."""
    for path in reversed(list(_ours(text, tool, event))):
        text = surgery.remove(text, path, before)
    return text


def _events(text: str) -> list[str]:
    hooks = jsonc.find(jsonc.parse(text), (HOOKS,))
    children = hooks.children if hooks is not None else ()
    return [child.key for child in children if child.key is not None]


def _ours(text: str, tool: str, event: str) -> Iterator[Path]:
    """Where ours are: a whole group if all of it is, else a handler in one."""
    root = jsonc.parse(text)
    groups = jsonc.find(root, (HOOKS, event))
    if groups is None or groups.opening != "[":
        return
    for index in range(len(groups.children)):
        path: Path = (HOOKS, event, index, HOOKS)
        handlers = jsonc.find(root, path)
        if handlers is None or handlers.opening != "[":
            continue
        found = [n for n, one in _handlers(text, handlers) if is_our_hook(one, tool)]
        if found and len(found) == len(handlers.children):
            yield path[:-1]
        else:
            yield from ((*path, n) for n in found)


def _handlers(text: str, array: Value) -> Iterator[tuple[int, Any]]:
    for index, child in enumerate(array.children):
        yield index, jsonc.python(text, child.value)
