"""What the door must remember beside the network: sessions, and who came by it.

One small SQLite file, 0600, in the network's folder. It holds no message and no token,
only hashes of tokens. The importer and `--free` write to it while a door runs, so it
is kept in rollback mode: the bug of SQLite that two connections can wake is one of WAL.

All is committed before an answer says so. The functions wait for the disk; call those
that write from a thread that may.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus_bridges.claude_ipc.names import fold, to_agent

BUSY_S: Final = 4.0
"""Seconds to wait for another process that writes: less than an old client waits."""

FOLDER: Final = "claude-ipc"
FILE: Final = "sessions.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS instances (
    key TEXT PRIMARY KEY,       -- the agent's name, folded
    name TEXT NOT NULL,         -- as its owner wrote it
    last_seen REAL NOT NULL,
    renaming TEXT               -- the new name, while the network is asked
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_of ON sessions (key);
CREATE TABLE IF NOT EXISTS moved (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


_SESSION: Final = (
    "SELECT i.name, i.last_seen, i.renaming, s.expires FROM sessions s"
    " JOIN instances i ON i.key = s.key WHERE s.hash = ? AND s.expires > ?"
)

_COUNTER: Final = 24
"""Where the file says how often it was written (https://sqlite.org/fileformat2.html,
1.3.7): four bytes tell that what was read before is still true."""


class Instance(NamedTuple):
    """An old instance: its name, when it asked last (UTC seconds), and the name that it
    was being given when the door died, or is now."""

    name: str
    last_seen: float
    renaming: str | None

    @property
    def agent(self) -> str:
        return to_agent(self.name)


def hash_of(token: str) -> str:
    """As the old server hashed tokens, so that sessions can be moved in from it. A
    token has 256 random bits, so it needs no salt of its own."""
    salted = f"claude-ipc-mcp-v2:{token}".encode(errors="replace")
    return hashlib.sha256(salted).hexdigest()


class State:
    """Attributes:
    folder: where the door keeps its files, 0700.
    """

    def __init__(self, network_folder: Path) -> None:
        self.folder = network_folder / FOLDER
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / FILE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Instance, float]] = {}
        self._known = b""
        # Closed last: with it go all locks that this process has on the file.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._db = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            os.close(self._fd)
            raise ipcbus.errors.StaleFile(
                path=str(path),
                reason=f"cannot be read: {error}",
                mend="move it away; old programs must register again then",
            ) from error

    @staticmethod
    def is_there(network_folder: Path) -> bool:
        return (network_folder / FOLDER / FILE).exists()

    def close(self) -> None:
        with self._lock:
            self._db.close()
            os.close(self._fd)

    # --- reading ---------------------------------------------------------------------

    def of_session(
        self, token: str, now: float, *, look: bool = True
    ) -> Instance | None:
        """Whose session it is; None for one that is over, or never was. Without `look`
        only what this process has written since counts."""
        if look or not self._known:
            counter = os.pread(self._fd, 4, _COUNTER)
            if counter != self._known:
                self._sessions.clear()
                self._known = counter
        found = self._sessions.get(token)
        if found is None:
            rows = self._ask(_SESSION, (hash_of(token), now))
            if not rows:
                return None
            *fields, expires = rows[0]
            found = Instance(*fields), expires
            self._sessions[token] = found
        instance, expires = found
        return instance if expires > now else None

    def instance(self, agent: str) -> Instance | None:
        """The one that is this agent, if it came by this door."""
        return self._instance(
            "SELECT name, last_seen, renaming FROM instances WHERE key = ?",
            (fold(agent),),
        )

    def held_until(self, agent: str, now: float) -> float | None:
        """When the last valid session of an instance ends."""
        (until,) = self._ask(
            "SELECT max(expires) FROM sessions WHERE key = ? AND expires > ?",
            (fold(agent), now),
        )[0]
        return None if until is None else float(until)

    def last_seen(self) -> dict[str, float]:
        """Of all instances, by their agents' names, folded."""
        return dict(self._ask("SELECT key, last_seen FROM instances"))

    def moved(self, ids: Sequence[str]) -> set[str]:
        """Which of these messages were moved in before."""
        marks = ",".join("?" * len(ids))
        rows = self._ask(f"SELECT id FROM moved WHERE id IN ({marks})", ids)  # noqa: S608
        return {id_ for (id_,) in rows}

    # --- writing ---------------------------------------------------------------------

    def claim(self, name: str, now: float) -> Instance:
        """The instance that `name` is; it keeps the letters that it was written with at
        first."""
        agent = to_agent(name)
        self._do(
            "INSERT INTO instances VALUES (?, ?, ?, NULL) ON CONFLICT (key)"
            " DO UPDATE SET last_seen = excluded.last_seen",
            (fold(agent), name, now),
        )
        found = self.instance(agent)
        assert found is not None
        return found

    def open_session(self, agent: str, hashed: str, expires: float, now: float) -> None:
        """Remember a session by the hash of its token; forget those that are over."""
        with self._turn() as db:
            db.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
                (hashed, fold(agent), expires),
            )

    def seen(self, times: Iterable[tuple[str, float]]) -> None:
        """When instances asked last, by their agents' names."""
        with self._turn() as db:
            db.executemany(
                "UPDATE instances SET last_seen = max(last_seen, ?) WHERE key = ?",
                [(at, fold(agent)) for agent, at in times],
            )

    def begin_rename(self, agent: str, new: str) -> None:
        """Before the network is asked: whoever dies then can be asked what became."""
        self._do("UPDATE instances SET renaming = ? WHERE key = ?", (new, fold(agent)))

    def end_rename(self, agent: str, new: str | None) -> None:
        """It is called `new` now; None if nothing came of it."""
        key = fold(agent)
        with self._turn() as db:
            db.execute("UPDATE instances SET renaming = NULL WHERE key = ?", (key,))
            if new is not None:
                to = fold(to_agent(new))
                db.execute(
                    "UPDATE OR REPLACE instances SET key = ?, name = ? WHERE key = ?",
                    (to, new, key),
                )
                db.execute("UPDATE sessions SET key = ? WHERE key = ?", (to, key))

    def free(self, name: str, now: float) -> int:
        """Let the next who asks have `name`; how many sessions that ended."""
        self.claim(name, now)
        key = fold(to_agent(name))
        with self._turn() as db:
            return db.execute("DELETE FROM sessions WHERE key = ?", (key,)).rowcount

    def add_moved(self, ids: Iterable[str]) -> None:
        with self._turn() as db:
            db.executemany(
                "INSERT OR IGNORE INTO moved VALUES (?)", [(id_,) for id_ in ids]
            )

    # --- within ----------------------------------------------------------------------

    def _instance(self, query: str, values: Sequence[Any]) -> Instance | None:
        rows = self._ask(query, values)
        return Instance(*rows[0]) if rows else None

    def _ask(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _translated():
            return self._db.execute(query, values).fetchall()

    def _do(self, query: str, values: Sequence[Any]) -> None:
        with self._turn() as db:
            db.execute(query, values)

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what was read before it is forgotten."""
        try:
            with self._lock, _translated():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        finally:
            self._known = b""


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of SQLite, as errors of ours."""
    try:
        yield
    except sqlite3.Error as error:
        reason = f"the sessions of old programs cannot be kept: {error}"
        raise ipcbus.IpcbusError(reason=reason) from error
