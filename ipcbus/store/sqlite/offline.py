"""A database that no broker serves: look at it, or put a backup in its place.

For `ipcbus doctor` and `ipcbus restore`, which hold the network's lock and run in a
process of their own: SQLite's locks on a file would not survive this in the process of
its broker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from ipcbus.errors import (
    AlreadyServing,
    DamagedDatabase,
    IpcbusError,
    NewerDatabase,
    StoreFailed,
)
from ipcbus.store.sqlite.check import check_identity, full_check
from ipcbus.store.sqlite.copying import copy_to, sync
from ipcbus.store.sqlite.migrations import LINKS, RUNS, migrate

SEQ_GAP: Final = 1 << 32
"""What a restored database skips: numbers that were given after the backup was made. A
client that still holds one of those must not ack another message with it."""

EPOCH_GAP: Final = 1 << 32
"""What the epochs of its links skip: other networks refuse what is handed over under a
lower one than they have seen, so a bridge would be fenced off until single steps, one
a second, had come that far."""


def inspect(path: Path) -> dict[str, int | str]:
    """Facts about a database, after a check of all its pages.

    Raises `NewerDatabase`, `DamagedDatabase`, `AlreadyServing` when a broker has it
    open, or `StoreFailed` when it cannot be read. Nothing is written.
    """
    with _opened(path) as db:
        found = check_identity(db, path)
        if not found:
            raise DamagedDatabase(path=str(path), reason="it is empty")
        full_check(db, path)
        waiting = "ifnull(sum(last - first + 1), 0)" if found >= RUNS else "count(*)"
        row = _row(
            db,
            "SELECT epoch, clean, max(last_seq, (SELECT ifnull(max(seq), 0)"  # noqa: S608
            " FROM messages)), (SELECT count(*) FROM messages),"
            f" (SELECT {waiting} FROM pending),"
            " (SELECT count(*) FROM dead), (SELECT count(*) FROM agents),"
            " (SELECT count(*) FROM blobs) FROM meta",
        )
        names = "epoch clean last_seq messages waiting dead agents attachments"
        size = _number(db, "PRAGMA page_count") * _number(db, "PRAGMA page_size")
        return {
            "schema": found,
            "bytes": size,
            **dict(zip(names.split(), row, strict=True)),
        }


def adopt(
    backup: Path,
    database: Path,
    *,
    epoch: int = 0,
    progress: Callable[[int], None] = lambda size: None,
) -> dict[str, int | str]:
    """Put a copy of `backup` in the place of `database`; returns its facts.

    It gets an epoch above the backup's, above that of the database it replaces if that
    can still be read, and above `epoch` (what the caller knows of it), so that no
    client takes the new broker for the old one. Until the last step, a rename, the old
    database is as it was, but for one thing: its WAL has to go just before, as it would
    be taken for a part of the new one.

    Raises what `inspect` does.
    """
    facts = inspect(backup)
    known = _numbers_of(database)
    new = database.with_name(database.name + ".restored")
    new.unlink(missing_ok=True)
    try:
        with _opened(backup) as source:
            for size in copy_to(source, new):
                progress(size)
        _renumber(new, max(epoch, known.epoch, int(facts["epoch"])), known)
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        new.replace(database)
        sync(database.parent)
    except OSError as error:
        raise StoreFailed(reason=f"{database}: {error.strerror}") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)
    return inspect(database)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    """A connection that reads only, also of what a killed broker left in the WAL."""
    if not path.is_file():
        raise StoreFailed(reason=f"{path}: no such file")
    wal = path.with_name(path.name + "-wal")
    try:
        if wal.exists() and wal.stat().st_size:
            db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        else:
            flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
            db = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=flags)
        with contextlib.closing(db):
            yield db
    except apsw.Error as error:
        raise _meaning(error, path) from error


def _meaning(error: apsw.Error, path: Path) -> IpcbusError:
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        return DamagedDatabase(path=str(path), reason=str(error))
    if isinstance(error, apsw.BusyError):
        return AlreadyServing(network=path.parent.name, pid="?", endpoint=str(path))
    return StoreFailed(reason=f"{path}: {error}")


class _Numbers(NamedTuple):
    """What a database has given away. `led`: the highest epoch of its links."""

    epoch: int = 0
    last_seq: int = 0
    led: int = 0


def _numbers_of(path: Path) -> _Numbers:
    """Those of a database that may be damaged or missing."""
    try:
        with _opened(path) as db:
            found = check_identity(db, path)
            last = "max(last_seq, (SELECT ifnull(max(seq), 0) FROM messages))"
            led = "(SELECT ifnull(max(epoch), 0) FROM links)" if found >= LINKS else "0"
            return _Numbers(*_row(db, f"SELECT epoch, {last}, {led} FROM meta"))  # noqa: S608
    except NewerDatabase:
        raise
    except (DamagedDatabase, StoreFailed):
        return _Numbers()


def _renumber(path: Path, epoch: int, known: _Numbers) -> None:
    with contextlib.closing(apsw.Connection(str(path))) as db:
        migrate(db, check_identity(db, path))
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(
            "UPDATE meta SET epoch = ?1 + 1, clean = 0, last_seq = ?3 + max(?2,"
            " last_seq, (SELECT ifnull(max(seq), 0) FROM messages))",
            (epoch, known.last_seq, SEQ_GAP),
        )
        led = "UPDATE links SET epoch = max(epoch, ?) + ? WHERE epoch >= 0"
        db.execute(led, (known.led, EPOCH_GAP))
    path.chmod(0o600)


def _row(db: apsw.Connection, sql: str) -> tuple[int, ...]:
    """The one row of numbers that a query answers with."""
    for row in db.execute(sql):
        return tuple(int(value) for value in row)
    raise apsw.CorruptError("a row is missing")


def _number(db: apsw.Connection, sql: str) -> int:
    return _row(db, sql)[0]
