"""Opening a database: what is made, what is refused and left as it was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from ipcbus.errors import (
    AlreadyServing,
    DamagedDatabase,
    Fenced,
    NewerDatabase,
    StoreFailed,
    UnsafeFolder,
)
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.check import quick_check
from ipcbus.store.sqlite.migrations import APPLICATION_ID, KNOWN, MIGRATIONS
from tests.store.making import fill, key, row, turn, waiting


def at(folder: Path, *, exclusive: bool = True) -> SqliteStore:
    return SqliteStore(
        folder / "bus.db",
        network="test",
        ballast=folder / "ballast",
        exclusive=exclusive,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """All files but empty ones: SQLite makes a WAL of no bytes when it opens."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.stat().st_size}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = at(tmp_path)
    store.open()
    yield store
    store.close()


# --- files -----------------------------------------------------------------


@pytest.mark.security
def test_no_file_can_be_read_by_others(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        store = at(tmp_path)
        store.open()
        fill(store, [1])
        list(store.backup(tmp_path / "copy"))
        modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["bus.db", "bus.db-wal", "ballast", "copy"], 0o600)


@pytest.mark.security
def test_a_database_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    with pytest.raises(UnsafeFolder, match="chmod 600"):
        at(tmp_path).open()
    path.unlink()
    path.symlink_to("/dev/null")
    with pytest.raises(UnsafeFolder, match="not a plain file"):
        at(tmp_path).open()


def test_a_folder_that_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        at(tmp_path / "missing").open()


def test_the_wal_has_its_size_from_the_start_and_keeps_it(tmp_path: Path) -> None:
    store = at(tmp_path)
    store.open()
    size = store.facts()["wal_bytes"]
    assert int(size) >= 8 * 2**20
    for seq in range(1, 20):
        fill(store, [seq], body=bytes(2**20))
    assert store.facts()["wal_bytes"] == size
    store.close()


def test_a_clean_stop_leaves_one_file(tmp_path: Path) -> None:
    make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bus.db", "ballast"}


# --- settings --------------------------------------------------------------


def test_commits_are_synced_and_the_wal_is_used(store: SqliteStore) -> None:
    db = store._db.connection
    assert db.execute("PRAGMA synchronous").get == 2
    assert db.execute("PRAGMA journal_mode").get == "wal"
    assert db.execute("PRAGMA locking_mode").get == "exclusive"
    assert db.execute("PRAGMA auto_vacuum").get == 2
    assert apsw.sqlite_lib_version().split(".") >= ["3", "51", "3"]


def test_every_migration_ran_once_and_is_written_down(tmp_path: Path) -> None:
    for _ in range(2):
        store = at(tmp_path)
        store.open()
        rows = store._db.read("SELECT number FROM migrations").fetchall()
        store.close()
        assert rows == [(number,) for number in range(1, len(MIGRATIONS) + 1)]


# --- refusals --------------------------------------------------------------


def make(folder: Path) -> Path:
    """A database with three messages in it, closed."""
    store = at(folder)
    store.open()
    fill(store, [1, 2, 3])
    store.close()
    return folder / "bus.db"


def sql(path: Path, statement: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(statement)
    db.close()


def refuses(folder: Path, error: type[Exception], words: str) -> None:
    before = contents(folder)
    with pytest.raises(error, match=words):
        at(folder).open()
    assert contents(folder) == before, "nothing was touched"


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    sql(make(tmp_path), f"PRAGMA user_version = {KNOWN + 1}")
    refuses(tmp_path, NewerDatabase, f"schema {KNOWN + 1}, this one knows {KNOWN}")


def test_a_newer_schema_in_the_wal_of_a_killed_broker_is_refused_untouched(
    tmp_path: Path,
) -> None:
    path = make(tmp_path)
    db = apsw.Connection(str(path))
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute(f"PRAGMA user_version = {KNOWN + 7}")
    db.close()
    assert path.read_bytes()[60:64] == KNOWN.to_bytes(4, "big"), "only in the WAL"
    refuses(tmp_path, NewerDatabase, f"schema {KNOWN + 7}")


def test_a_file_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    sql(path, "CREATE TABLE other(x)")
    path.chmod(0o600)
    refuses(tmp_path, DamagedDatabase, "not of ipcbus")
    path.write_bytes(b"this is no database at all" * 100)
    refuses(tmp_path, DamagedDatabase, "not a database")


def test_a_damaged_table_is_found_after_an_unclean_stop(tmp_path: Path) -> None:
    store = at(tmp_path)
    store.open()
    fill(store, range(1, 2000))
    root = store._db.number("SELECT rootpage FROM sqlite_schema WHERE name = 'pending'")
    store._db.connection.execute("UPDATE meta SET clean = 7")  # not what close writes
    store.close()
    sql(tmp_path / "bus.db", "UPDATE meta SET clean = 0")
    with (tmp_path / "bus.db").open("r+b") as file:
        file.seek((root - 1) * 4096 + 12)
        file.write(os.urandom(200))
    refuses(tmp_path, DamagedDatabase, "ipcbus restore")


def test_a_check_ends_when_its_time_is_over(store: SqliteStore, tmp_path: Path) -> None:
    fill(store, range(1, 20_000))
    db = store._db.connection
    assert quick_check(db, tmp_path, 60.0)
    assert not quick_check(db, tmp_path, 0.0)
    fill(store, [20_000])  # and nothing of it remains


def test_a_second_broker_on_the_same_file_is_refused(
    store: SqliteStore, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyServing):
        at(tmp_path).open()
    fill(store, [1])
    assert waiting(store) == [1]


# --- the fence -------------------------------------------------------------


def test_a_broker_that_was_taken_over_can_write_nothing(tmp_path: Path) -> None:
    old, new = at(tmp_path, exclusive=False), at(tmp_path, exclusive=False)
    assert old.open().epoch == 1
    fill(old, [1])
    assert new.open().epoch == 2
    with pytest.raises(Fenced, match="epoch 2, ours was 1"):
        fill(old, [2])
    old.begin()
    with pytest.raises(Fenced):
        old.mail.remove([key(1)], keep=True)
    old.close()
    fill(new, [3])
    assert waiting(new) == [1, 3]
    new.close()


def test_a_turn_that_was_open_at_the_takeover_holds_it_up_or_fails(
    tmp_path: Path,
) -> None:
    """Reads of the old broker may go on; its first write of a turn is refused."""
    old, new = at(tmp_path, exclusive=False), at(tmp_path, exclusive=False)
    old.open()
    fill(old, [1])
    old.begin()
    assert waiting(old) == [1]
    new.open()
    with pytest.raises(Fenced):
        old.mail.add([row(2)], [])
    old.close()
    new.close()


def test_a_fenced_broker_does_not_call_its_stop_clean(tmp_path: Path) -> None:
    old, new = at(tmp_path, exclusive=False), at(tmp_path, exclusive=False)
    old.open()
    new.open()
    old.close()
    assert new._db.number("SELECT clean FROM meta") == 0
    new.close()
    third = at(tmp_path)
    third.open()
    third.close()


# --- a big backlog ---------------------------------------------------------


def test_a_backlog_costs_no_time_at_the_start(tmp_path: Path) -> None:
    """Small here; `benchmarks` has a million. Unclean, so that the check runs too."""
    store = at(tmp_path)
    store.open()
    for first in range(1, 60_001, 1000):
        fill(store, range(first, first + 1000), body=bytes(300))
    store._db.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    store._db.connection.close()
    again = at(tmp_path)
    start = time.monotonic()
    snapshot = again.open()
    took = time.monotonic() - start
    assert snapshot.last_seq == 60_000
    assert took < 1.0
    again.close()


def test_a_clean_stop_is_remembered(tmp_path: Path) -> None:
    path = make(tmp_path)
    db = apsw.Connection(str(path))
    assert db.execute("SELECT clean FROM meta").get == 1
    db.close()
    store = at(tmp_path)
    store.open()
    assert store._db.number("SELECT clean FROM meta") == 0
    store.close()


def test_history_that_was_purged_gives_its_pages_back(tmp_path: Path) -> None:
    store = at(tmp_path)
    store.open()
    for first in range(1, 20_001, 1000):
        fill(store, range(first, first + 1000), body=bytes(2000))
        with turn(store):
            keys = [key(seq) for seq in range(first, first + 1000)]
            store.mail.remove(keys, keep=True)
    before = int(store.facts()["bytes"])
    more = True
    while more:
        with turn(store):
            more = store.archive.maintain(1 << 50, 1 << 40, 1000)
    assert int(store.facts()["bytes"]) < before / 2
    store.close()


def test_a_database_of_the_first_schema_gets_what_links_need(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    old = apsw.Connection(str(path))
    MIGRATIONS[0](old)
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO agents VALUES(1, 'ann', 1, 10, 0, 0, 0)")
    old.close()
    path.chmod(0o600)
    made = at(tmp_path)
    found = made.open()
    assert [agent.name for agent in found.agents] == ["ann"]
    assert len(found.network_id) == 16
    assert (found.links, found.pins) == ([], {})
    made.close()
