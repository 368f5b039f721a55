"""SqliteStore: take a database over, run turns, copy it, leave it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from ipcbus.errors import (
    AlreadyServing,
    DamagedDatabase,
    IpcbusError,
    StoreFailed,
    UnsafeFolder,
)
from ipcbus.store.records import Snapshot
from ipcbus.store.sqlite.archive import SqliteArchive
from ipcbus.store.sqlite.blobs import SqliteBlobs
from ipcbus.store.sqlite.check import check_identity, quick_check
from ipcbus.store.sqlite.copying import copy_to
from ipcbus.store.sqlite.crossings import SqliteCrossings
from ipcbus.store.sqlite.database import Database, translated
from ipcbus.store.sqlite.mail import SqliteMail
from ipcbus.store.sqlite.migrations import KNOWN, migrate
from ipcbus.store.sqlite.registry import SqliteRegistry
from ipcbus.store.sqlite.space import Space

CHECK_S: Final = 0.2
"""Seconds that the check after an unclean stop may take: a takeover is to be done
within half a second, and the WAL has checksums of its own, so that what a crash can
spoil is found anyway. What this looks for is damage from elsewhere (a bad disk, a
copied file), in the tables that a broker needs first."""


class SqliteStore:
    """`base.Store` in one file.

    Args:
        path: the database, in a folder that exists and is 0700.
        network: named in errors.
        ballast: a file to be given up when the disk is full, or None for none.
        store_bytes: size that the database may reach, 0 for what the disk has.
        exclusive: False lets other connections in, for tests of the fence.
        vfs: name of a registered VFS, for tests of failing disks.
    """

    def __init__(
        self,
        path: Path,
        *,
        network: str,
        ballast: Path | None,
        store_bytes: int = 0,
        exclusive: bool = True,
        vfs: str | None = None,
    ) -> None:
        self._path = path
        self._network = network
        self._ballast = ballast
        self._store_bytes = store_bytes
        self._exclusive = exclusive
        self._vfs = vfs
        self._database: Database | None = None

    # --- open and close ------------------------------------------------------

    def open(self) -> Snapshot:
        """Raises `NewerDatabase`, `DamagedDatabase`, `AlreadyServing`,
        `UnsafeFolder` or `StoreFailed`; nothing has been written then."""
        assert self._database is None, "a store is opened once"
        _claim_file(self._path)
        db = None
        try:
            db = Database(
                self._path,
                Space(self._path, self._ballast, self._store_bytes),
                network=self._network,
                exclusive=self._exclusive,
                vfs=self._vfs,
            )
            snapshot = self._take_over(db)
        except (apsw.Error, OSError) as error:
            raise self._refusal(error) from error
        finally:
            if db is not None and self._database is None:
                _close_quietly(db)
        return snapshot

    def _take_over(self, db: Database) -> Snapshot:
        """Verify, then write: schema, epoch, the size of the WAL."""
        found = check_identity(db.connection, self._path)
        if found and not db.number("SELECT clean FROM meta"):
            quick_check(db.connection, self._path, CHECK_S)
        db.keep()
        migrate(db.connection, found)
        with db.connection:
            db.connection.execute("UPDATE meta SET epoch = epoch + 1, clean = 0")
        db.extend_wal()
        db.space.make_ballast()
        snapshot = SqliteRegistry(db).snapshot()
        db.epoch = snapshot.epoch
        self._parts(db)
        return snapshot

    def _parts(self, db: Database) -> None:
        self._database = db
        self._mail = SqliteMail(db)
        self._registry = SqliteRegistry(db)
        self._crossings = SqliteCrossings(db)
        self._blobs = SqliteBlobs(db)
        self._archive = SqliteArchive(db)

    def _refusal(self, error: apsw.Error | OSError) -> IpcbusError:
        """What an error while opening means."""
        if isinstance(error, apsw.NotADBError | apsw.CorruptError):
            return DamagedDatabase(path=str(self._path), reason=str(error))
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return AlreadyServing(
                network=self._network, pid="unknown", endpoint=str(self._path)
            )
        return StoreFailed(reason=f"{self._path}: {error}")

    def close(self) -> None:
        db, self._database = self._database, None
        if db is None:
            return
        try:
            db.rollback()
            db.begin()
            db.write().execute("UPDATE meta SET clean = 1")
            db.commit()
        except (apsw.Error, IpcbusError):
            # Fenced, failed or full: the next start finds an unclean stop, which
            # is the truth.
            pass
        finally:
            _close_quietly(db)

    # --- the parts -----------------------------------------------------------

    @property
    def _db(self) -> Database:
        assert self._database is not None, "the store is not open"
        return self._database

    @property
    def mail(self) -> SqliteMail:
        return self._mail

    @property
    def registry(self) -> SqliteRegistry:
        return self._registry

    @property
    def crossings(self) -> SqliteCrossings:
        return self._crossings

    @property
    def blobs(self) -> SqliteBlobs:
        return self._blobs

    @property
    def archive(self) -> SqliteArchive:
        return self._archive

    # --- turns ---------------------------------------------------------------

    def begin(self) -> None:
        self._db.begin()

    @translated
    def commit(self) -> None:
        self._db.commit()

    @translated
    def rollback(self) -> None:
        self._db.rollback()

    @translated
    def room(self, *, ours: bool = False) -> int:
        return self._db.room(ours=ours)

    def backup(self, path: Path) -> Iterator[int]:
        return copy_to(self._db.connection, path)

    @translated
    def facts(self) -> dict[str, int | str]:
        db = self._db
        pages = db.number("PRAGMA page_count")
        wal = self._path.with_name(self._path.name + "-wal")
        return {
            "engine": f"sqlite {apsw.sqlite_lib_version()}",
            "schema": KNOWN,
            "epoch": db.epoch,
            "synchronous": _SYNCHRONOUS[db.number("PRAGMA synchronous")],
            "bytes": pages * db.page_size,
            "free_bytes": db.number("PRAGMA freelist_count") * db.page_size,
            "wal_bytes": wal.stat().st_size if wal.exists() else 0,
            "room": db.exact_room(),
            "ballast_bytes": db.space.unit if db.space.has_ballast else 0,
            "unindexed": self._archive.unindexed(),
        }


_SYNCHRONOUS: Final = ("unsafe: off", "unsafe: normal", "full", "extra")


def _claim_file(path: Path) -> None:
    """Make the database 0600 if it is not there; refuse one that others may read."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFolder(
                path=str(path), reason="is not a plain file", mend="move it away"
            ) from None
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise UnsafeFolder(
                path=str(path),
                reason="others may read or write it, or own it",
                mend=f"chown it to yourself and run: chmod 600 {path}",
            ) from None
    except OSError as error:
        raise StoreFailed(reason=f"{path}: {error.strerror}") from error


def _close_quietly(db: Database) -> None:
    with contextlib.suppress(apsw.Error):
        db.close()
