"""The connection: turns, the fence, checkpoints, and what SQLite's errors mean.

Settings, and what each buys (see also `space.py`):

- WAL, synchronous FULL: a commit returns after fdatasync of the WAL.
- Exclusive locking: the WAL index is in our memory, no shared-memory file.
- The WAL has its size from the start and keeps it. A commit into a file that grows
  costs 300 us, into one that does not 180 us; writing it once costs 30 ms. After a
  clean stop it is gone all the same: one that stays would be replayed into any file
  that somebody puts in the place of the database.
- Checkpoints are our own, after a commit, because SQLite's automatic ones hide
  their errors: an fsync of the database that failed and is then forgotten would
  lose committed messages when the WAL is used again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import apsw

from ipcbus.errors import Fenced, IpcbusError, StoreFailed, StoreFull
from ipcbus.store.records import fingerprint
from ipcbus.store.sqlite.space import MIB, PLENTY, Space

CHECKPOINT_BYTES: Final = 4 * MIB
"""What may be in the WAL before it is copied into the database. More makes fewer but
longer pauses (4 MiB: 5 ms, 16 MiB: 17 ms here) at the same throughput. The file has
twice the size, so that no turn of up to this size makes it grow."""

CACHE_KIB: Final = 16 * 1024
BUSY_MS: Final = 3_000

Row = tuple[Any, ...]
Bindings = Sequence[Any] | Mapping[str, Any]


class Database:
    """One connection to one file."""

    def __init__(
        self,
        path: Path,
        space: Space,
        *,
        network: str,
        exclusive: bool,
        vfs: str | None,
    ) -> None:
        self.path = path
        self.space = space
        self.network = network
        self.epoch = 0
        self.connection = apsw.Connection(str(path), vfs=vfs)
        self.read = self.connection.execute
        self._failed: str | None = None
        self._turn = False
        self._writing = False
        self._wal_pages = 0
        self._configure(exclusive)

    def _configure(self, exclusive: bool) -> None:
        db = self.connection
        # Until `keep` is called, closing must not touch the file.
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if exclusive:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        else:
            db.set_busy_timeout(BUSY_MS)
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.create_scalar_function("fingerprint", _fingerprint, 2, deterministic=True)

    def keep(self) -> None:
        """The file is ours and good: from now on it may be written."""
        db = self.connection
        # Has an effect only before the first table is made.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = -1")
        db.set_wal_hook(self._count_wal)
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self.page_size = self.number("PRAGMA page_size")
        self._checkpoint_bytes = min(CHECKPOINT_BYTES, self.space.unit)
        self._checkpoint_at = self._checkpoint_bytes // self.page_size
        if self.space.store_bytes:
            # The bound may have been lowered since: removals need their reserve still.
            pages = self.number("PRAGMA page_count")
            used = pages - self.number("PRAGMA freelist_count")
            most = max(self.space.store_bytes, used * self.page_size + self.space.unit)
            db.execute(f"PRAGMA max_page_count = {most // self.page_size}")

    def _count_wal(self, db: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    # --- turns ---------------------------------------------------------------

    def begin(self) -> None:
        self._check_alive()
        assert not self._turn, "a turn is open already"
        self._turn = True

    def write(self) -> apsw.Connection:
        """The connection, in a transaction that passed the fence."""
        if self._writing:
            return self.connection
        self._check_alive()
        assert self._turn, "a write outside of begin and commit"
        self.connection.execute("BEGIN IMMEDIATE")
        self._writing = True
        theirs = self.number("SELECT epoch FROM meta")
        if theirs != self.epoch:
            self.rollback()
            raise Fenced(network=self.network, theirs=theirs, ours=self.epoch)
        return self.connection

    def commit(self) -> None:
        self._check_alive()
        self._turn = False
        if not self._writing:
            return
        self.space.before_commit()
        self.connection.execute("COMMIT")
        self._writing = False
        if self._wal_pages >= self._checkpoint_at:
            self.checkpoint()

    def rollback(self) -> None:
        """Undo; SQLite has done so itself after some errors."""
        self._turn = self._writing = False
        if self.connection.in_transaction and not self._failed:
            self.connection.execute("ROLLBACK")

    def checkpoint(self) -> None:
        """Copy the WAL into the database; after it the WAL is written from its start.

        One that a huge turn has blown up is cut, which costs a few slow commits.
        """
        huge = self._wal_pages > 16 * self._checkpoint_at
        mode = (
            apsw.SQLITE_CHECKPOINT_TRUNCATE if huge else apsw.SQLITE_CHECKPOINT_PASSIVE
        )
        try:
            self.connection.wal_checkpoint(mode=mode)
        except apsw.FullError:
            # The turn is in the WAL and safe. The next commit tries again.
            self.space.drop_ballast()

    def extend_wal(self) -> None:
        """Give the WAL its size, if it has not: by a big row that comes and goes."""
        wal = self.path.with_name(self.path.name + "-wal")
        size = 2 * self._checkpoint_bytes
        if wal.stat().st_size < size and self.space.free() > 4 * size:
            self._write_and_forget(size)
            self.checkpoint()
        spare = wal.stat().st_size - self._checkpoint_bytes
        self.space.wal_spare = max(0, spare)

    def _write_and_forget(self, size: int) -> None:
        db = self.connection
        db.execute("CREATE TABLE IF NOT EXISTS filler(x)")
        try:
            db.execute("INSERT INTO filler VALUES(zeroblob(?))", (size,))
        except apsw.FullError:
            pass  # more than `store_bytes` allows: then commits are slower at first
        finally:
            db.execute("DROP TABLE filler")
        for _ in db.execute("PRAGMA incremental_vacuum"):
            pass

    # --- reading -------------------------------------------------------------

    def one(self, sql: str, bindings: Bindings = ()) -> Row | None:
        """The first row, if any."""
        cursor = self.read(sql, bindings)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row

    def number(self, sql: str, bindings: Bindings = ()) -> int:
        """The one number that a query answers with."""
        value = self.read(sql, bindings).get
        assert isinstance(value, int)
        return value

    def room(self, *, ours: bool = False) -> int:
        """See `Store.room`; with plenty of it nothing is counted, before each batch."""
        return PLENTY if self.space.plenty else self.exact_room(ours=ours)

    def exact_room(self, *, ours: bool = False) -> int:
        pages = self.number("PRAGMA page_count")
        free_pages = self.number("PRAGMA freelist_count")
        return self.space.room(pages, free_pages, self.page_size, ours=ours)

    # --- errors --------------------------------------------------------------

    def _check_alive(self) -> None:
        if self._failed:
            raise StoreFailed(reason=self._failed)

    def problem(self, error: apsw.Error) -> IpcbusError:
        """What an error of SQLite means for the broker; the turn is void.

        Full: the broker may go on. Anything else is the end of this connection: after
        a failed fsync nobody knows what the disk has, and one that is tried again
        succeeds without having written anything.
        """
        if isinstance(error, apsw.FullError):
            self.space.drop_ballast()
            return self.full()
        self._failed = f"{type(error).__name__}: {error}"
        self._turn = self._writing = False
        return StoreFailed(reason=self._failed)

    def full(self) -> IpcbusError:
        """There is no room: the turn is void, and the broker may go on."""
        try:
            self.rollback()
        except apsw.Error as error:
            return self.problem(error)
        return StoreFull(network=self.network)

    def close(self) -> None:
        """Close; after a failure without a last checkpoint, as kill -9 would."""
        if self._failed:
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.connection.close()


def _fingerprint(*content: Any) -> bytes:
    return fingerprint(*content)


class HasDatabase(Protocol):
    @property
    def _db(self) -> Database: ...


_Self = TypeVar("_Self", bound=HasDatabase)
_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def translated(
    method: Callable[Concatenate[_Self, _Args], _Result],
) -> Callable[Concatenate[_Self, _Args], _Result]:
    """The border: no exception of apsw leaves the method."""

    @functools.wraps(method)
    def call(self: _Self, /, *args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        try:
            return method(self, *args, **kwargs)
        except apsw.Error as error:
            raise self._db.problem(error) from error

    return call
