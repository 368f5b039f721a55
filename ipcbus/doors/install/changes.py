"""From what is there to what shall be there: the changes of an installation.

All files of a tool are read and all texts made before anything is written, so that one
that cannot be understood leaves the others alone too. The backup `FILE.ipcbus-backup`
is the file as it was before ipcbus was put in. It tells the removal what to give back,
and that there is none tells that there was no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ipcbus.doors.install import jsonc, settings, surgery, tables, writing
from ipcbus.doors.install.commands import Who
from ipcbus.doors.install.difference import unified
from ipcbus.doors.install.jsonc import BOM, Unreadable
from ipcbus.doors.install.settings import Foreign
from ipcbus.doors.install.surgery import Misfit
from ipcbus.doors.install.tools import TOOLS, Holds, Scope, Tool, files
from ipcbus.doors.install.writing import Found

BACKUP: Final = ".ipcbus-backup"

_UNTOUCHED: Final = "nothing was changed"

_FOLDERS: Final = (".claude", ".gemini", ".codex")
"""Folders of the tools, which are taken away if we made the only file in them."""


class Change(NamedTuple):
    """What is to become of one file.

    Attributes:
        data: None to remove it.
        mode: if it is made.
        backup: what the backup shall hold from now on; None for no backup.
        old_backup: what it holds.
    """

    found: Found
    data: bytes | None
    mode: int
    backup: bytes | None
    old_backup: bytes | None

    @property
    def path(self) -> Path:
        return self.found.path

    @property
    def backup_path(self) -> Path:
        return _backup_path(self.path)

    @property
    def action(self) -> str:
        if self.data == self.found.data:
            return "unchanged"
        if self.found.data is None:
            return "created"
        return "removed" if self.data is None else "changed"

    def diff(self) -> list[str]:
        old, new = (each or b"" for each in (self.found.data, self.data))
        return list(unified(str(self.path), old.decode(), new.decode()))


def installation(name: str, scope: Scope, who: Who) -> list[Change]:
    """The changes that put ipcbus into a tool. Raises `ConfigError`."""
    mode = writing.PRIVATE if scope == "user" else writing.SHARED
    return [_added(TOOLS[name], *file, who, mode) for file in files(name, scope)]


def removal(name: str, scope: Scope) -> list[Change]:
    """The changes that take it out again. Raises `ConfigError`."""
    return [_removed(TOOLS[name], *file) for file in files(name, scope)]


def carry_out(changes: Iterable[Change]) -> None:
    """Write what changes. Raises `IpcbusError`: a file is locked, or not as it was."""
    wanted = [change for change in changes if change.action != "unchanged"]
    with ExitStack() as locks:
        for change in wanted:
            locks.enter_context(writing.locked(change.path))
        for change in wanted:
            writing.check_unchanged(change.found)
        for change in wanted:
            _carry_out(change)
    for change in wanted:
        if change.data is None and change.path.parent.name in _FOLDERS:
            writing.remove_folder(change.path.parent)


def _carry_out(change: Change) -> None:
    """First the backup is made and then the file; or first the file is given back and
    then the backup removed: so there is never a changed file without a backup."""
    if change.backup is not None and change.backup != change.old_backup:
        writing.keep(change.backup_path, change.backup)
    if change.data is None:
        writing.remove(change.path)
    else:
        writing.replace(change.found, change.data, change.mode)
    if change.backup is None:
        change.backup_path.unlink(missing_ok=True)


# --- one file ----------------------------------------------------------------


def _added(tool: Tool, path: Path, holds: Holds, who: Who, mode: int) -> Change:
    found, old_backup = writing.read(path), writing.read(_backup_path(path)).data
    text = _text(path, found.data)

    def has_ours() -> bool:
        return _without(tool, holds, text, "") != text

    kept = found.data is None or _guarded(path, has_ours)
    backup = old_backup if kept else found.data
    before = _before(backup, holds)
    new = _guarded(path, lambda: _with(tool, holds, text, before, who))
    return Change(found, new.encode(), mode, backup, old_backup)


def _removed(tool: Tool, path: Path, holds: Holds) -> Change:
    found, backup = writing.read(path), writing.read(_backup_path(path)).data
    text, before = _text(path, found.data), _before(backup, holds)
    new = _guarded(path, lambda: _without(tool, holds, text, before))
    data = found.data if new == text else _given_back(found, new, backup, holds)
    left = None if data == backup else backup
    return Change(found, data, writing.PRIVATE, left, backup)


def _given_back(
    found: Found, new: str, backup: bytes | None, holds: Holds
) -> bytes | None:
    """What to leave where ours was taken out. A file that was there and held nothing
    is given back as it was; one that we made goes, but not from under a link."""
    is_json = holds != "tables"
    if not (surgery.is_bare(new) if is_json else surgery.is_blank(new)):
        return new.encode()
    if backup is not None:
        return backup if surgery.is_blank(_before(backup, holds)) else new.encode()
    return new.encode() if found.is_link else None


def _with(tool: Tool, holds: Holds, text: str, before: str, who: Who) -> str:
    server = {**who.server(), **tool.server}
    if holds == "tables":
        return tables.add_server(text, server)
    if surgery.is_blank(text):
        text = f"{BOM if text.startswith(BOM) else ''}{{}}\n"
    if holds != "hooks":
        text = settings.add_server(text, server)
    if holds != "servers":
        text = settings.add_hooks(text, tool.name, tool.hooks(who), before)
    return text


def _without(tool: Tool, holds: Holds, text: str, before: str) -> str:
    if surgery.is_blank(text):
        return text
    if holds == "tables":
        return tables.remove_server(text)
    if holds != "servers":
        text = settings.remove_hooks(text, tool.name, before)
    if holds != "hooks":
        text = settings.remove_server(text, before)
    return text


T = TypeVar("T")


def _guarded(path: Path, make: Callable[[], T]) -> T:
    """What `make` makes; its errors as those of the file. Raises `ConfigError`."""
    try:
        return make()
    except Unreadable as error:
        place = f"line {error.line}, column {error.column}"
        raise writing.refusal(path, f"{error.reason}; {_UNTOUCHED}", place) from error
    except Misfit as error:
        raise writing.refusal(path, f"{error}; {_UNTOUCHED}") from error
    except Foreign as error:
        reason = "is another program; rename it or take it out"
        place = str(error)
        raise writing.refusal(path, f"{reason}; {_UNTOUCHED}", place) from error


def _text(path: Path, data: bytes | None) -> str:
    try:
        return (data or b"").decode()
    except UnicodeDecodeError as error:
        raise writing.refusal(path, f"is not UTF-8; {_UNTOUCHED}") from error


def _before(backup: bytes | None, holds: Holds) -> str:
    """What the backup says was there; nothing if somebody spoilt it."""
    try:
        text = (backup or b"").decode()
        if holds != "tables" and not surgery.is_blank(text):
            jsonc.parse(text)
    except ValueError:
        return ""
    return text


def _backup_path(path: Path) -> Path:
    return path.with_name(path.name + BACKUP)
