"""A database as the old server made it."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ipcbus_bridges.claude_ipc.state import hash_of

SCHEMA = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, from_id TEXT NOT NULL, to_id TEXT NOT NULL,
    content TEXT NOT NULL, timestamp TEXT NOT NULL, data TEXT, summary TEXT,
    large_file_path TEXT, read_flag INTEGER DEFAULT 0
);
CREATE TABLE instances (instance_id TEXT PRIMARY KEY, last_seen TEXT NOT NULL);
CREATE TABLE sessions (
    session_token_hash TEXT PRIMARY KEY, instance_id TEXT NOT NULL,
    created_at TEXT NOT NULL, expires_at TEXT NOT NULL
);
CREATE TABLE name_history (
    old_name TEXT PRIMARY KEY, new_name TEXT NOT NULL, changed_at TEXT NOT NULL
);
"""


def ago(**time: float) -> str:
    return (datetime.now() - timedelta(**time)).isoformat()


class OldDb:
    """`messages.db` in a folder, to be filled."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "messages.db"
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript(SCHEMA)

    def add(self, table: str, *rows: tuple[Any, ...], columns: str = "") -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO {table} {columns} VALUES ({marks})", rows)

    def names(self, *names: str) -> None:
        self.add("instances", *[(name, ago(hours=1)) for name in names])

    def message(
        self,
        sender: str,
        to: str,
        content: str,
        *,
        sent_at: str | None = None,
        data: Any = None,
        file: str | None = None,
        read: int | None = 0,
    ) -> None:
        packed = json.dumps(data) if data is not None else None
        row = (sender, to, content, sent_at or ago(hours=2), packed, file, read)
        columns = "(from_id, to_id, content, timestamp, data, large_file_path,"
        self.add("messages", row, columns=f"{columns} read_flag)")

    def session(self, name: str, token: str, expires: str) -> None:
        self.add("sessions", (hash_of(token), name, ago(hours=1), expires))

    def renamed(self, old: str, new: str, at: str) -> None:
        self.add("name_history", (old, new, at))

    def large(self, sender: str, to: str, text: str) -> Path:
        """A message as the server wrote one that was too large."""
        folder = self.path.parent / "large-messages"
        folder.mkdir(exist_ok=True)
        path = folder / f"20260101_{sender}_{to}_message.md"
        path.write_text(text)
        data = {"large_message_file": str(path), "original_size_kb": 20.0}
        content = f"It begins. Full content saved to: {path}"
        self.message(sender, to, content, data=data, file=str(path))
        return path

    def crowd(self, count: int, seed: int = 1) -> None:
        """Names, and messages between them of which a tenth was read."""
        chance = random.Random(seed)
        names = [f"agent-{number}" for number in range(20)]
        self.names(*names)
        rows = [
            (
                *(chance.choice(names), chance.choice(names), f"message {number}"),
                *(ago(seconds=count - number), int(number % 10 == 0)),
            )
            for number in range(count)
        ]
        columns = "(from_id, to_id, content, timestamp, read_flag)"
        self.add("messages", *rows, columns=columns)
