"""Backups and restoring: whole, private, and never taken for the old database."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from ipcbus.errors import (
    AlreadyServing,
    DamagedDatabase,
    NewerDatabase,
    StoreFailed,
)
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.migrations import KNOWN
from ipcbus.store.sqlite.offline import SEQ_GAP, adopt, inspect
from tests.store.making import fill, key, maintain, turn, waiting


def at(folder: Path) -> SqliteStore:
    folder.mkdir(exist_ok=True, mode=0o700)
    return SqliteStore(folder / "bus.db", network="test", ballast=None)


def make(folder: Path, *seqs: int, opens: int = 1) -> Path:
    """A closed database that was opened some times."""
    for _ in range(opens):
        store = at(folder)
        store.open()
        if seqs:
            fill(store, seqs)
            seqs = ()
        store.close()
    return folder / "bus.db"


def back_up(folder: Path, target: Path) -> Path:
    store = at(folder)
    store.open()
    list(store.backup(target))
    store.close()
    return target


def test_a_backup_made_while_mail_comes_in_holds_it(tmp_path: Path) -> None:
    store = at(tmp_path / "net")
    store.open()
    for first in range(1, 10_001, 1000):
        fill(store, range(first, first + 1000), body=bytes(500))
    seq, steps = 20_000, []
    for size in store.backup(tmp_path / "copy"):
        steps.append(size)
        seq += 1
        fill(store, [seq])
        with turn(store):
            store.mail.remove([key(seq - 20_000)], keep=True)
    assert len(steps) > 5
    assert steps == sorted(steps)
    seqs = waiting(store)
    store.close()
    facts = inspect(tmp_path / "copy")
    # The last step ended before the last turn; all others are in the copy.
    assert int(facts["waiting"]) == len(seqs)
    assert facts["last_seq"] == seq - 1


def test_a_backup_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    store = at(tmp_path / "net")
    store.open()
    fill(store, range(1, 3000), body=bytes(500))
    steps = store.backup(tmp_path / "copy")
    next(steps)
    assert (tmp_path / "copy").exists()
    steps.close()  # type: ignore[attr-defined]
    assert not (tmp_path / "copy").exists()
    fill(store, [3000])
    store.close()


def test_inspecting_tells_what_is_there_and_touches_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "net", 1, 2, 3)
    before = path.read_bytes()
    facts = inspect(path)
    assert facts["schema"] == KNOWN
    assert (facts["epoch"], facts["clean"], facts["last_seq"]) == (1, 1, 3)
    assert (facts["messages"], facts["waiting"], facts["dead"]) == (3, 3, 0)
    assert path.read_bytes() == before


def test_inspecting_sees_what_a_killed_broker_left_in_the_wal(tmp_path: Path) -> None:
    store = at(tmp_path / "net")
    store.open()
    fill(store, [1, 2])
    # As kill -9 would: no last checkpoint.
    store._db.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    store._db.connection.close()
    before = {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()}
    facts = inspect(tmp_path / "net" / "bus.db")
    assert (facts["messages"], facts["clean"]) == (2, 0)
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == before


def test_inspecting_refuses_what_it_cannot_vouch_for(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="no such file"):
        inspect(tmp_path / "missing")
    (tmp_path / "empty").touch()
    with pytest.raises(DamagedDatabase, match="empty"):
        inspect(tmp_path / "empty")
    (tmp_path / "junk").write_bytes(b"no database" * 500)
    with pytest.raises(DamagedDatabase):
        inspect(tmp_path / "junk")


def test_inspecting_finds_any_damaged_page(tmp_path: Path) -> None:
    store = at(tmp_path / "net")
    store.open()
    fill(store, range(1, 1000), body=b"some words")
    maintain(store, 0, 0)
    store.close()
    path = tmp_path / "net" / "bus.db"
    inspect(path)
    whole = path.read_bytes()
    for start in range(4096, len(whole), 4096):
        damaged = whole[:start] + os.urandom(4096) + whole[start + 4096 :]
        path.write_bytes(damaged)
        with pytest.raises(DamagedDatabase):
            inspect(path)


def test_a_newer_backup_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = make(tmp_path / "net", 1)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    db = apsw.Connection(str(copy))
    db.execute(f"PRAGMA user_version = {KNOWN + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(NewerDatabase):
        adopt(copy, path)
    assert path.read_bytes() == before


def test_a_served_database_is_not_replaced(tmp_path: Path) -> None:
    path = make(tmp_path / "net", 1)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    store = at(tmp_path / "net")
    store.open()
    with pytest.raises(AlreadyServing):
        adopt(copy, path)
    fill(store, [2])
    assert waiting(store) == [1, 2]
    store.close()


def test_a_restored_database_has_the_mail_and_a_new_epoch(tmp_path: Path) -> None:
    path = make(tmp_path / "net", 1, 2)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    make(tmp_path / "net", 3, 4, opens=5)  # life went on after the backup
    sizes: list[int] = []
    facts = adopt(copy, path, progress=sizes.append)
    assert sizes
    assert int(facts["epoch"]) == 8
    store = at(tmp_path / "net")
    snapshot = store.open()
    assert snapshot.epoch == 9
    assert snapshot.last_seq == 4 + SEQ_GAP, "3 and 4 are not given again"
    assert waiting(store) == [1, 2]
    fill(store, [snapshot.last_seq + 1])
    store.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["bus.db"]
    assert inspect(copy)["epoch"] == 2, "the backup is as it was"


def test_the_wal_of_the_old_database_is_not_taken_for_the_new_one(
    tmp_path: Path,
) -> None:
    path = make(tmp_path / "net", 1)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    store = at(tmp_path / "net")
    store.open()
    fill(store, [2])
    store._db.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    store._db.connection.close()
    adopt(copy, path)
    again = at(tmp_path / "net")
    again.open()
    assert waiting(again) == [1]
    again.close()


def test_a_damaged_database_can_be_replaced(tmp_path: Path) -> None:
    path = make(tmp_path / "net", 1)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    path.write_bytes(b"junk" * 5000)
    assert adopt(copy, path, epoch=40)["epoch"] == 41
    store = at(tmp_path / "net")
    assert store.open().epoch == 42
    assert waiting(store) == [1]
    store.close()


def test_a_backup_can_found_a_database(tmp_path: Path) -> None:
    make(tmp_path / "net", 1)
    copy = back_up(tmp_path / "net", tmp_path / "copy")
    (tmp_path / "other").mkdir()
    adopt(copy, tmp_path / "other" / "bus.db")
    store = at(tmp_path / "other")
    store.open()
    assert waiting(store) == [1]
    store.close()
