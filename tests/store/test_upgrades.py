"""Upgrades that fail on the way, from every schema that there was: all or nothing.

The k-th write, sync or truncation of the disk fails, for every k until none does; or
the power is cut there, with any part of the unsynced pages on the disk. Then the
database opens on a good disk with all its mail.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
from pathlib import Path

import apsw
import pytest

from ipcbus.store.records import Mailbox
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.check import check_identity
from ipcbus.store.sqlite.migrations import KNOWN, MIGRATIONS, migrate
from ipcbus.store.sqlite.offline import adopt, inspect
from tests.store.disk import FaultyDisk
from tests.store.making import BOB, RANK, fill, row, waiting
from tests.store.test_migrations import of_schema

OLD = range(1, KNOWN)
SOME = [
    pytest.param(schema, marks=() if schema in (OLD[0], OLD[-1]) else pytest.mark.slow)
    for schema in OLD
]
MAIL = list(range(1, 41))
STORE_BYTES = 1 << 20
"""Little, so that the log is not made large each time."""

SCHEMAS = (
    "1f293775b600b07e",
    "7739d917cbcb9fe5",
    "c01f08376e97d38b",
    "22dee23b2cb86121",
    "aef9c9cd625fd7e7",
    "13a5c949b5dbaca9",
)
"""Fingerprints of the schemas, in their order. A new migration adds one; a change of
one that is here breaks databases that have it."""

# Where SQLite itself makes nothing of an error, apsw has nobody to raise it to.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def old(folder: Path, schema: int) -> None:
    """A database of that schema, with mail for bob, and its counters."""
    folder.mkdir()
    db = of_schema(folder, schema)
    for seq in MAIL:
        db.execute("INSERT INTO messages VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row(seq))
    if schema < 3:
        rows = [(BOB, RANK, seq, 0, 0, 0, 0, 100) for seq in MAIL]
        db.executemany("INSERT INTO pending VALUES(?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("INSERT INTO totals VALUES(?, ?, ?)", (BOB, len(MAIL), 4000))
        db.execute("INSERT INTO counters VALUES(1, '{\"accepted\": 40}')")
    else:
        run = (BOB, RANK, MAIL[0], MAIL[-1], 0, 0, 0, 0, 100)
        db.execute("INSERT INTO pending VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", run)
        totals = [(BOB, len(MAIL), 4000, None), (0, 0, 0, '{"accepted": 40}')]
        db.executemany("INSERT INTO totals VALUES(?, ?, ?, ?)", totals)
    db.execute("UPDATE meta SET clean = 0, epoch = 7")  # its broker was killed
    db.close()


def is_whole(folder: Path) -> None:
    """It opens, on a good disk, with all that was in it, and serves."""
    inspect(folder / "bus.db")
    store = SqliteStore(
        folder / "bus.db", network="test", ballast=None, store_bytes=STORE_BYTES
    )
    snapshot = store.open()
    assert waiting(store) == MAIL
    assert snapshot.counters == {"accepted": 40}
    assert snapshot.mailboxes == [Mailbox(BOB, len(MAIL), 4000)]
    later = snapshot.last_seq + 1
    fill(store, [later])
    assert waiting(store) == [*MAIL, later]
    store.close()
    db = apsw.Connection(str(folder / "bus.db"))
    assert db.pragma("user_version") == KNOWN
    db.close()


@pytest.mark.parametrize("schema", [*OLD, KNOWN])
def test_a_database_of_every_schema_opens_with_its_mail(
    tmp_path: Path, schema: int
) -> None:
    old(tmp_path / "db", schema)
    is_whole(tmp_path / "db")


@pytest.mark.parametrize("schema", [*OLD, KNOWN])
def test_a_backup_of_every_schema_can_be_looked_at_and_restored(
    tmp_path: Path, schema: int
) -> None:
    old(tmp_path / "old", schema)
    (tmp_path / "db").mkdir()
    backup = tmp_path / "old" / "bus.db"
    before = backup.read_bytes()
    facts = inspect(backup)
    assert (facts["schema"], facts["waiting"]) == (schema, len(MAIL))
    assert adopt(backup, tmp_path / "db" / "bus.db")["waiting"] == len(MAIL)
    assert backup.read_bytes() == before
    is_whole(tmp_path / "db")


def test_a_migration_that_databases_have_run_is_never_changed(tmp_path: Path) -> None:
    found = []
    for schema in range(1, KNOWN + 1):
        folder = tmp_path / str(schema)
        folder.mkdir()
        db = of_schema(folder, schema)
        sql = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").get
        found.append(hashlib.sha256(repr(sql).encode()).hexdigest()[:16])
        db.close()
    assert tuple(found) == SCHEMAS
    assert len(MIGRATIONS) == KNOWN


@pytest.mark.parametrize(
    ("what", "error"),
    [("write", apsw.IOError), ("write", apsw.FullError), ("sync", apsw.IOError)],
)
@pytest.mark.parametrize("schema", SOME)
def test_an_upgrade_that_fails_anywhere_is_begun_anew(
    disk: FaultyDisk, tmp_path: Path, schema: int, what: str, error: type[apsw.Error]
) -> None:
    old(tmp_path / "old", schema)
    for turn in itertools.count(1):
        folder = tmp_path / "db"
        shutil.copytree(tmp_path / "old", folder)
        before = disk.counts[what]
        disk.fail_at(what, turn, error)
        done = upgraded(folder, disk)
        is_whole(folder)
        shutil.rmtree(folder)
        if disk.counts[what] < before + turn:
            break
    assert done
    assert turn > 1


@pytest.mark.parametrize("schema", SOME)
def test_a_power_cut_in_the_midst_of_an_upgrade_takes_nothing_back(
    disk: FaultyDisk, tmp_path: Path, schema: int
) -> None:
    old(tmp_path / "old", schema)
    content = (tmp_path / "old" / "bus.db").read_bytes()
    for turn in itertools.count(1):
        folder, after = tmp_path / "db", tmp_path / "after"
        shutil.copytree(tmp_path / "old", folder)
        after.mkdir()
        disk.durable = {"bus.db": bytearray(content)}
        disk.unsynced = {"bus.db": []}
        before = disk.counts["write"]
        disk.fail_at("write", turn, apsw.IOError)
        done = upgraded(folder, disk)
        disk.power_cut(after, random.Random(turn))
        is_whole(after)
        shutil.rmtree(folder)
        shutil.rmtree(after)
        if disk.counts["write"] < before + turn:
            break
    assert done
    assert turn > 1


def upgraded(folder: Path, disk: FaultyDisk) -> bool:
    """Bring it to the schema of today on a disk that may fail; whether it did not."""
    db = apsw.Connection(str(folder / "bus.db"), vfs=disk.name)
    # As a kill would, leave to the next broker what is in the log.
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        migrate(db, check_identity(db, folder / "bus.db"))
    except apsw.Error:
        return False
    finally:
        disk.heal()
        db.close()
    return True
