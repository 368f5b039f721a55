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
    "counters",
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


def quick_check(db: apsw.Connection, path: Path, seconds: float | None) -> bool:
    """Check the pages of each table; raises `DamagedDatabase`.

    Returns whether all was seen in the time given (None: as long as it takes).
    """
    end = None if seconds is None else time.monotonic() + seconds
    if end is not None:
        db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        for table in _ORDER:
            for (line,) in db.execute(f"PRAGMA quick_check({table})"):
                if line != "ok":
                    reason = f"{table}: {' '.join(str(line).split())}"
                    raise DamagedDatabase(path=str(path), reason=reason)
    except apsw.InterruptError:
        return False
    except apsw.CorruptError as error:
        raise DamagedDatabase(path=str(path), reason=str(error)) from error
    finally:
        db.set_progress_handler(None)
    return True
