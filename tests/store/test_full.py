"""No room: adding is refused, removing never is, and then there is room again."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.errors import StoreFull
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.sqlite import SqliteStore
from tests.store.making import entry, fill, key, row, turn, waiting

MIB = 1024 * 1024
BODY = b"some words of a body " * 150


@pytest.fixture
def small_disk(tmp_path: Path, missing_part: Callable[[str], None]) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        mounted = None
    if mounted is None or mounted.returncode:
        missing_part("the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def limited(folder: Path) -> SqliteStore:
    return SqliteStore(
        folder / "bus.db",
        network="test",
        ballast=folder / "ballast",
        store_bytes=8 * MIB,
    )


def unlimited(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "bus.db", network="test", ballast=folder / "ballast")


def fill_up(store: Store, seqs: Iterator[int], batch: int) -> int:
    """Add as a careful broker does, until there is no room; how many went in."""
    for count in itertools.count(0, batch):
        if store.room() < batch * (len(BODY) + 100):
            return count
        fill(store, itertools.islice(seqs, batch), body=BODY)
    raise AssertionError


def overfill(store: Store, seqs: Iterator[int], batch: int) -> int:
    """Add as a careless one does; how many went in."""
    for count in itertools.count(0, batch):
        try:
            fill(store, itertools.islice(seqs, batch), body=BODY)
        except StoreFull:
            return count
    raise AssertionError


def drain(store: Store) -> int:
    """Ack all, one at a time; how many there were."""
    seqs = waiting(store)
    for seq in seqs:
        with turn(store):
            store.mail.remove([key(seq)], keep=True)
    return len(seqs)


def tidy(store: Store, now: int) -> None:
    """Keep house for a while, as a broker with nothing else to do."""
    for _ in range(2_000):
        with turn(store):
            if not store.archive.maintain(now, 7 * 24 * 3600 * 1000, 50):
                return


def two_lives(store: SqliteStore, seqs: Iterator[int], batch: int) -> None:
    """Fill, drain, keep house, and again: each time there is room without a restart."""
    store.open()
    now = 1 << 42
    first = fill_up(store, seqs, batch)
    assert first * len(BODY) > 2 * MIB
    for _ in range(2):
        overfill(store, seqs, batch)
        with pytest.raises(StoreFull), turn(store):
            store.mail.add([row(next(seqs), body=bytes(4 * MIB))], [])
        assert drain(store) > 0
        assert waiting(store) == []
        tidy(store, now)
        assert fill_up(store, seqs, batch) > first // 3
    store.close()


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 64])
def test_a_store_with_a_limit(tmp_path: Path, batch: int) -> None:
    two_lives(limited(tmp_path), itertools.count(1), batch)
    assert (tmp_path / "bus.db").stat().st_size <= 8 * MIB


@pytest.mark.parametrize("batch", [1, 64])
def test_a_small_disk(small_disk: Path, batch: int) -> None:
    two_lives(unlimited(small_disk), itertools.count(1), batch)


def test_a_disk_that_others_fill_up(small_disk: Path) -> None:
    """Acks succeed without a byte left: the ballast makes room for them."""
    store = unlimited(small_disk)
    store.open()
    fill(store, range(1, 400))
    assert (small_disk / "ballast").exists()
    junk = (small_disk / "junk").open("wb", buffering=0)
    with junk, contextlib.suppress(OSError):
        while True:
            junk.write(bytes(4096))
    assert store.room() < 1 * MIB
    assert drain(store) == 399
    (small_disk / "junk").unlink()
    assert store.room() > 1 * MIB
    fill(store, [400])
    tidy(store, 0)
    assert (small_disk / "ballast").exists()
    store.close()


def test_what_is_not_indexed_yet_does_not_take_what_is_kept_for_removals(
    tmp_path: Path,
) -> None:
    """Words that all differ make an index larger than the messages."""
    store = limited(tmp_path)
    store.open()
    with contextlib.suppress(StoreFull):
        for seq in itertools.count(1):
            words = " ".join(f"{seq * 1000 + n:x}{n:x}" for n in range(2000))
            fill(store, [seq], body=words.encode())
    tidy(store, 0)
    with turn(store):
        store.archive.search(None, "red", limit=1, before=None)
    assert drain(store) > 100
    tidy(store, 1 << 42)
    assert store.room() > 2 * MIB
    store.close()


def test_what_it_may_have_can_be_less_than_what_it_has(tmp_path: Path) -> None:
    store = limited(tmp_path)
    store.open()
    seqs = itertools.count(1)
    fill_up(store, seqs, 16)
    store.close()
    store = SqliteStore(
        tmp_path / "bus.db",
        network="test",
        ballast=tmp_path / "ballast",
        store_bytes=2 * MIB,
    )
    store.open()
    assert store.room() == 0
    with pytest.raises(StoreFull):
        fill(store, [next(seqs)])
    assert drain(store) > 100
    tidy(store, 1 << 42)
    fill(store, [next(seqs)])
    store.close()


def test_what_was_acked_makes_room_at_once(tmp_path: Path) -> None:
    """Ids stay, for ten minutes at least; what they were of goes."""
    store = limited(tmp_path)
    store.open()
    seqs = itertools.count(1)
    while store.room() > 16 * 2 * len(BODY):
        fill(store, itertools.islice(seqs, 16), body=BODY, at=1)
    drain(store)
    tidy(store, 2)
    assert store.room() > MIB // 2, "as much as is wanted"
    kept = store._db.number("SELECT count(*) FROM messages")
    assert kept == next(seqs) - 1
    store.close()


def test_attachments_are_refused_too(tmp_path: Path) -> None:
    store = limited(tmp_path)
    store.open()
    with turn(store):
        store.blobs.begin("aa", 100 * MIB, 1, 0)

    def upload() -> None:
        for _ in range(100):
            with turn(store):
                store.blobs.append("aa", bytes(256 * 1024))

    with pytest.raises(StoreFull):
        upload()
    blob = store.blobs.get("aa")
    assert blob is not None
    assert blob.stored > 1 * MIB
    with turn(store):
        store.blobs.restart("aa")
    assert store.room() > 2 * MIB
    store.close()


def test_a_refused_turn_leaves_nothing(tmp_path: Path) -> None:
    store = limited(tmp_path)
    store.open()
    store.begin()
    store.mail.add([row(1)], [entry(1)])
    with pytest.raises(StoreFull):
        store.mail.add([row(2, body=bytes(9 * MIB))], [entry(2)])
    store.rollback()
    assert waiting(store) == []
    fill(store, [1])
    store.close()


def test_a_memory_store_of_a_given_capacity() -> None:
    store = MemoryStore(capacity=10_000)
    store.open()
    seqs = itertools.count(1)
    assert overfill(store, seqs, 1) == 3
    store.rollback()
    assert store.room() < len(BODY)
    drain(store)
    with turn(store):
        store.archive.maintain(1 << 42, 1 << 41, 10)
    assert store.room() == 10_000
