"""What the old server left: `messages.db`, read from a copy of it.

    messages      id from_id to_id content timestamp data summary large_file_path
                  read_flag
    instances     instance_id last_seen
    sessions      session_token_hash instance_id created_at expires_at
    name_history  old_name new_name changed_at

The file itself is opened to be copied and for nothing else: SQLite would roll back what
a killed server left half done, and that is for the old server to do. Times in it are
local ones without a zone.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import ipcbus

DEFAULT: Final = "~/.claude-ipc-data"
FILE: Final = "messages.db"
LARGE: Final = "large-messages"

TABLES: Final = {
    "messages": {
        *("id", "from_id", "to_id", "content", "timestamp"),
        *("data", "summary", "large_file_path", "read_flag"),
    },
    "instances": {"instance_id", "last_seen"},
    "sessions": {"session_token_hash", "instance_id", "created_at", "expires_at"},
    "name_history": {"old_name", "new_name", "changed_at"},
}

TRIES: Final = 3
_MAGIC: Final = b"SQLite format 3\0"
_BESIDE: Final = ("", "-journal", "-wal")


class OldMessage(NamedTuple):
    """A message; `at` is UTC seconds, None if its time cannot be read. `file` is where
    the server had put what was too large."""

    row: int
    sender: str
    to: str
    content: str
    sent_at: str
    at: float | None
    data: Any
    file: str | None
    was_read: bool


class Forward(NamedTuple):
    old: str
    new: str
    at: float


class OldSession(NamedTuple):
    hashed: str
    name: str
    expires: float


class OldData(NamedTuple):
    """All of it; `past` are the messages that were read. `unusable` are rows that make
    no sense."""

    path: Path
    names: dict[str, float]
    forwards: list[Forward]
    sessions: list[OldSession]
    unread: list[OldMessage]
    past: list[OldMessage]
    unusable: int

    def file_of(self, message: OldMessage) -> Path | None:
        """The file of a large message, if it is one that the server wrote: a path in
        the data may have been put there by whoever sent it, and may lead anywhere."""
        if message.file is None:
            return None
        folder = self.path.parent / LARGE
        path = Path(message.file)
        is_there = path.is_file() and not path.is_symlink()
        if not is_there or path.resolve().parent != folder.resolve():
            return None
        return path


def find(given: Path | None) -> Path:
    """The database that is meant. Raises `UsageError` if there is none."""
    path = (given or Path(DEFAULT)).expanduser()
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise ipcbus.errors.UsageError(reason=f"{path}: there is no such file")
    return path


def read(path: Path) -> OldData:
    """Raises `StaleFile` for what is no such database, or damaged."""
    with _copied(path) as copy, closing(sqlite3.connect(copy)) as db:
        try:
            return _read(db, path)
        except sqlite3.Error as error:
            raise _refused(path, f"is damaged ({error})") from error


def _refused(path: Path, reason: str) -> ipcbus.IpcbusError:
    mend = "nothing was read or changed"
    return ipcbus.errors.StaleFile(path=str(path), reason=reason, mend=mend)


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ipcbus-import-") as folder:
        for _ in range(TRIES):
            before = _stamps(path)
            copy = _copy(path, Path(folder))
            if before == _stamps(path):
                yield copy
                return
        raise _refused(path, "is being written; end the old server first")


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for end in _BESIDE:
        try:
            stat = path.with_name(path.name + end).stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except FileNotFoundError:
            found.append(None)
    return found


def _copy(path: Path, folder: Path) -> Path:
    try:
        for end in _BESIDE:
            target = folder / (FILE + end)
            target.unlink(missing_ok=True)
            source = path.with_name(path.name + end)
            if not end or source.exists():
                shutil.copyfile(source, target)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    with (folder / FILE).open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise _refused(path, "is no SQLite database")
    return folder / FILE


def _read(db: sqlite3.Connection, path: Path) -> OldData:
    (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise _refused(path, f"is damaged ({state})")
    for table, wanted in TABLES.items():
        there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if not wanted <= there:
            lacks = f"{table} {' '.join(sorted(wanted - there))}"
            raise _refused(path, f"is no database of claude-ipc: it lacks {lacks}")
    messages = list(map(_message, db.execute(_MESSAGES)))
    names = {
        name: _seconds(at) or 0.0
        for name, at in db.execute("SELECT instance_id, last_seen FROM instances")
        if isinstance(name, str)
    }
    forwards = [
        Forward(old, new, _seconds(at) or 0.0)
        for old, new, at in db.execute(
            "SELECT old_name, new_name, changed_at FROM name_history"
        )
        if isinstance(old, str) and isinstance(new, str)
    ]
    sessions = [
        OldSession(hashed, name, _seconds(expires) or 0.0)
        for hashed, name, expires in db.execute(
            "SELECT session_token_hash, instance_id, expires_at FROM sessions"
        )
        if isinstance(hashed, str) and isinstance(name, str)
    ]
    good = [message for message in messages if message is not None]
    unread = [message for message in good if not message.was_read]
    past = [message for message in good if message.was_read]
    unusable = len(messages) - len(good)
    return OldData(path, names, forwards, sessions, unread, past, unusable)


_MESSAGES: Final = (
    "SELECT id, from_id, to_id, content, timestamp, data, large_file_path, read_flag"
    " FROM messages ORDER BY id"
)


def _message(row: tuple[Any, ...]) -> OldMessage | None:
    number, sender, to, content, sent_at, packed, file, read_flag = row
    if not all(isinstance(one, str) for one in (sender, to, content, sent_at)):
        return None
    try:
        data = json.loads(packed) if isinstance(packed, str) else None
    except (ValueError, RecursionError):
        data = {"data": packed}
    at = _seconds(sent_at)
    if file is None and isinstance(data, dict):
        file = data.get("large_message_file")
    return OldMessage(
        number,
        sender,
        to,
        content,
        sent_at if at is not None else "at an unknown time",
        at,
        data,
        file if isinstance(file, str) else None,
        bool(read_flag),
    )


def _seconds(text: object) -> float | None:
    try:
        return (
            datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
        )
    except (ValueError, OverflowError, OSError):
        return None
