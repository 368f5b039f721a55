"""A disk that fails, fills up or loses its power: nothing committed is lost."""

from __future__ import annotations

import itertools
import random
import shutil
from pathlib import Path

import apsw
import pytest

from ipcbus.errors import IpcbusError, StoreFailed, StoreFull
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.offline import inspect
from tests.store.disk import FaultyDisk
from tests.store.making import entry, fill, key, row, turn, waiting


def on(disk: FaultyDisk | None, folder: Path) -> SqliteStore:
    return SqliteStore(
        folder / "bus.db",
        network="test",
        ballast=folder / "ballast",
        vfs=disk.name if disk else None,
    )


def reopened(folder: Path) -> SqliteStore:
    """On a good disk, after a full check."""
    inspect(folder / "bus.db")
    store = on(None, folder)
    store.open()
    return store


def test_every_commit_is_synced_before_it_returns(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    store = on(disk, tmp_path)
    store.open()
    for seq in range(1, 20):
        before = disk.counts["sync"]
        fill(store, [seq])
        assert disk.counts["sync"] > before
        assert not disk.unsynced["bus.db-wal"]
    assert store.facts()["synchronous"] == "full"
    store.close()


def test_a_turn_that_writes_nothing_touches_no_disk(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    store = on(disk, tmp_path)
    store.open()
    before = disk.counts.copy()
    store.begin()
    store.mail.find("x")
    store.commit()
    assert disk.counts == before
    store.close()


@pytest.mark.parametrize("seed", range(12))
def test_a_power_cut_takes_nothing_back(
    disk: FaultyDisk, tmp_path: Path, seed: int
) -> None:
    """At any moment, with any part of the unsynced pages on the disk."""
    chance = random.Random(seed)
    store = on(disk, tmp_path)
    store.open()
    seqs = itertools.count(1)
    there: set[int] = set()
    for _ in range(chance.randrange(5, 60)):
        new = [next(seqs) for _ in range(chance.randrange(1, 40))]
        fill(store, new, body=b"x" * chance.randrange(3000))
        there |= set(new)
        done = [seq for seq in there if chance.random() < 0.2]
        with turn(store):
            store.mail.remove([key(seq) for seq in sorted(done)], keep=True)
            store.archive.maintain(1 << 50, 0, 5)
        there -= set(done)
    store.begin()
    late = next(seqs)
    store.mail.add([row(late)], [entry(late)])
    lost = tmp_path / "after"
    lost.mkdir()
    disk.power_cut(lost, chance)
    store.close()
    after = reopened(lost)
    assert waiting(after) == sorted(there)
    after.close()


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("write", apsw.FullError),
        ("sync", apsw.IOError),
        pytest.param("write", apsw.IOError, marks=pytest.mark.slow),
        pytest.param("sync", apsw.FullError, marks=pytest.mark.slow),
    ],
)
def test_whatever_fails_what_was_committed_is_there(
    disk: FaultyDisk, tmp_path: Path, what: str, error: type[apsw.Error]
) -> None:
    """The k-th write or sync fails, for every k until none does any more."""
    new = on(None, tmp_path / "new")
    (tmp_path / "new").mkdir()
    new.open()
    new.close()
    for turn_number in itertools.count(1):
        folder = tmp_path / str(turn_number)
        shutil.copytree(tmp_path / "new", folder)
        store = on(disk, folder)
        store.open()
        disk.fail_at(what, turn_number, error)
        committed, unsure, failure = run_until_it_fails(store)
        disk.heal()
        store.close()
        after = reopened(folder)
        found = set(waiting(after))
        after.close()
        assert committed <= found <= committed | unsure
        if failure is None:
            break
        wanted = StoreFull if error is apsw.FullError else StoreFailed
        assert isinstance(failure, wanted) or what == "sync"
        assert found == committed or isinstance(failure, StoreFailed)
    assert turn_number > 3


def run_until_it_fails(
    store: SqliteStore,
) -> tuple[set[int], set[int], IpcbusError | None]:
    """Three turns; what was committed, what may be, and the error if there was one."""
    committed: set[int] = set()
    for first in (1, 4, 7):
        new = {first, first + 1, first + 2}
        try:
            fill(store, sorted(new), body=b"x" * 5000)
        except IpcbusError as failure:
            return committed, new, failure
        committed |= new
    return committed, set(), None


def test_after_an_io_error_the_store_does_nothing_more(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    store = on(disk, tmp_path)
    store.open()
    fill(store, [1])
    disk.fail_at("sync", 1, apsw.IOError)
    with pytest.raises(StoreFailed):
        fill(store, [2])
    with pytest.raises(StoreFailed):
        store.begin()
    disk.heal()
    writes = disk.counts["write"]
    store.close()
    assert disk.counts["write"] == writes, "not even the last checkpoint"
    after = reopened(tmp_path)
    assert set(waiting(after)) >= {1}
    after.close()


def test_a_failed_checkpoint_is_not_forgotten(disk: FaultyDisk, tmp_path: Path) -> None:
    """SQLite's own checkpoints would go on, and use the WAL again."""
    store = on(disk, tmp_path)
    store.open()
    seqs = itertools.count(1)
    committed: set[int] = set()

    def until_a_checkpoint() -> None:
        while True:
            seq = next(seqs)
            # The first sync of a turn is that of its commit.
            disk.heal()
            disk.fail_at("sync", 2, apsw.IOError)
            fill(store, [seq], body=b"x" * 300_000)
            committed.add(seq)

    with pytest.raises(StoreFailed):
        until_a_checkpoint()
    disk.heal()
    store.close()
    after = reopened(tmp_path)
    assert set(waiting(after)) >= committed
    after.close()


def test_a_full_disk_refuses_and_takes_up_again(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    store = on(disk, tmp_path)
    store.open()
    fill(store, [1, 2])
    assert (tmp_path / "ballast").exists()
    disk.fail_all("write", apsw.FullError)
    with pytest.raises(StoreFull):
        fill(store, [3])
    assert not (tmp_path / "ballast").exists()
    assert waiting(store) == [1, 2], "reading goes on"
    disk.heal()
    with turn(store):
        store.mail.remove([key(1)], keep=True)
    fill(store, [3])
    with turn(store):
        store.archive.maintain(0, 1 << 40, 10)
    assert (tmp_path / "ballast").exists()
    store.close()
    after = reopened(tmp_path)
    assert waiting(after) == [2, 3]
    after.close()
