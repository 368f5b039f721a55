"""Copying a database by SQLite's backup API, in steps.

Never by copying files: closing any descriptor of a database drops this process's
POSIX locks on it, and the copy would miss what is in the WAL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from ipcbus.errors import StoreFailed

STEP_PAGES: Final = 256
"""1 MiB a step: some milliseconds, between which a broker serves."""

SYNC_STEPS: Final = 16
"""Steps between two syncs of the copy: one of all at the end would take seconds."""


def copy_to(source: apsw.Connection, path: Path) -> Iterator[int]:
    """Copy to a new file, 0600; yields the bytes copied so far.

    What the source commits between the steps is in the copy too. Only a whole copy
    stays. Raises `StoreFailed`.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreFailed(reason=f"{path}: {error.strerror}") from error
    whole = False
    try:
        for number, size in enumerate(_steps(source, path)):
            if number % SYNC_STEPS == SYNC_STEPS - 1:
                sync(path)
            yield size
        sync(path)
        sync(path.parent)
        whole = True
    except (apsw.Error, OSError) as error:
        raise StoreFailed(reason=f"backup to {path}: {error}") from error
    finally:
        if not whole:
            path.unlink(missing_ok=True)


def _steps(source: apsw.Connection, path: Path) -> Iterator[int]:
    with contextlib.closing(apsw.Connection(str(path))) as target:
        # One that fails half-way is deleted: no journal, one sync at the end.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        page_size = source.execute("PRAGMA page_size").get
        assert isinstance(page_size, int)
        with target.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(STEP_PAGES)
                yield (backup.page_count - backup.remaining) * page_size


def sync(path: Path) -> None:
    """Make a file or the names in a folder survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
