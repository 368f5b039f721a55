"""Whether a file is an ipcbus database, of a schema we know, and whole.

All of this only reads.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import apsw

from ipcbus.errors import DamagedDatabase, NewerDatabase
from ipcbus.store.sqlite.migrations import APPLICATION_ID, KNOWN

_ORDER: Final = (
    "meta",
    "keys",
    "agents",
    "aliases",
    "subscriptions",
    "totals",
    "dead",
    "blobs",
    "pending",
    "messages",
    "recipients",
    "blob_links",
    "participants",
    "blob_chunks",
)
"""Small and needed first comes first: a check may run out of time."""

_STEPS: Final = 1000
"""SQLite's own steps between two looks at the clock."""


def check_identity(db: apsw.Connection, path: Path) -> int:
    """The schema of a database, 0 for an empty file.

    Raises `NewerDatabase`, or `DamagedDatabase` for the file of another program.
    """
    found = db.execute("PRAGMA user_version").get
    ours = db.execute("PRAGMA application_id").get == APPLICATION_ID
    assert isinstance(found, int)
    empty = db.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if empty and not found:
        return 0
    if not ours:
        raise DamagedDatabase(path=str(path), reason="it is not of ipcbus")
    if found > KNOWN:
        raise NewerDatabase(path=str(path), found=found, known=KNOWN)
    return found


def quick_check(db: apsw.Connection, path: Path, seconds: float) -> bool:
    """Check the tables in their order for as long as there is time.

    Raises `DamagedDatabase`; returns whether all was seen.
    """
    end = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        for table in _ORDER:
            _run(db, path, f"quick_check({table})")
    except apsw.InterruptError:
        return False
    finally:
        db.set_progress_handler(None)
    return True


def full_check(db: apsw.Connection, path: Path) -> None:
    """Check every page, and every index against its table.

    Raises `DamagedDatabase`. Takes about a second for a million messages.
    """
    _run(db, path, "integrity_check")


def _run(db: apsw.Connection, path: Path, check: str) -> None:
    try:
        for (line,) in db.execute(f"PRAGMA {check}"):
            if line != "ok":
                reason = f"{check}: {' '.join(str(line).split())}"
                raise DamagedDatabase(path=str(path), reason=reason)
    except apsw.CorruptError as error:
        raise DamagedDatabase(path=str(path), reason=str(error)) from error
