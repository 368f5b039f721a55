"""Databases of earlier schemas: what was in them is there after an upgrade."""

from __future__ import annotations

from pathlib import Path

import apsw

from ipcbus.store.base import UNUSED_BLOB_MS
from ipcbus.store.records import Blob, Entry, Key, Mailbox, Run, Waiting
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.migrations import APPLICATION_ID, MIGRATIONS
from tests.store.making import (
    ALICE,
    BOB,
    CAROL,
    RANK,
    fill,
    key,
    maintain,
    row,
    turn,
    waiting,
)

ALL = (-1, 0), 1000, 1 << 30


def of_schema(folder: Path, number: int) -> apsw.Connection:
    """An empty database as a broker of long ago has left it."""
    path = folder / "bus.db"
    db = apsw.Connection(str(path))
    for migration in MIGRATIONS[:number]:
        migration(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {number}")
    path.chmod(0o600)
    return db


def upgraded(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "bus.db", network="test", ballast=None)


def put(db: apsw.Connection, entries: list[Entry]) -> None:
    """As the second schema had it: a row for each message and for each entry."""
    shared = {entry.seq for entry in entries if entry.shared}
    for seq in sorted({entry.seq for entry in entries}):
        mailbox = next(e.mailbox for e in entries if e.seq == seq)
        message = row(seq, mailbox=0 if seq in shared else mailbox)
        db.execute("INSERT INTO messages VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", message)
    db.executemany("INSERT INTO pending VALUES(?, ?, ?, ?, ?, ?, ?, ?)", entries)
    db.executemany(
        "INSERT INTO recipients VALUES(?, ?)",
        [(entry.seq, entry.mailbox) for entry in entries if entry.shared],
    )


def test_every_entry_of_the_second_schema_is_as_it_was(tmp_path: Path) -> None:
    plain = [Entry(BOB, RANK, seq, 0, 0, 0, 0, 100) for seq in (1, 2, 3, 7, 8)]
    leased = [Entry(BOB, RANK, seq, 1, 0, 0, 0, 100) for seq in (4, 5)]
    odd = [
        Entry(BOB, RANK, 6, 2, 50, 60, 0, 7),
        Entry(BOB, 0, 9, 0, 0, 70, 0, 100),
        Entry(CAROL, RANK, 10, 3, 0, 0, 0, 100),
    ]
    shared = [
        Entry(mailbox, RANK, seq, 1, 0, 0, 1, 5)
        for seq in (11, 12)
        for mailbox in (ALICE, BOB, CAROL)
    ]
    everything = [*plain, *leased, *odd, *shared]
    db = of_schema(tmp_path, 2)
    put(db, everything)
    db.close()
    store = upgraded(tmp_path)
    store.open()
    for entry in everything:
        expected = Waiting(entry, b"header", b"body")
        assert store.mail.get(Key(*entry[:3])) == expected
        assert entry in store.mail.entries_of(entry.seq)
    for mailbox in (ALICE, BOB, CAROL):
        found = [w.entry for w in store.mail.page(mailbox, *ALL)]
        assert found == sorted(
            e for e in everything if e.mailbox == mailbox and not e.due
        )
    assert store.mail.next_deadline() == 50
    assert store.mail.due(50, 9) == [odd[0]]
    assert [w.entry for w in store.mail.expired(99, 9)] == odd[:2]
    assert store._db.number("SELECT count(*) FROM pending WHERE mailbox = 2") == 7
    store.close()


def test_mail_of_the_second_schema_goes_its_way(tmp_path: Path) -> None:
    db = of_schema(tmp_path, 2)
    put(db, [Entry(BOB, RANK, seq, 1, 0, 0, 0, 100) for seq in range(1, 7)])
    both = [Entry(mailbox, RANK, 7, 0, 0, 0, 1, 100) for mailbox in (BOB, CAROL)]
    put(db, both)
    db.close()
    store = upgraded(tmp_path)
    assert store.open().last_seq == 7
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 2, 3)], keep=False)
        store.mail.bury(key(5), "code", "reason", 1)
        store.mail.remove([key(7)], keep=False)
    fill(store, [8])
    assert waiting(store) == [1, 4, 6, 8]
    assert waiting(store, CAROL) == [7]
    assert [store.archive.state(seq, BOB) for seq in (2, 4, 5)] == [
        "done",
        "waiting",
        "dead",
    ]
    stripped = store.mail.find("id-000002")
    assert stripped is not None
    assert stripped.header == b""
    store.close()


def test_dead_letters_totals_and_counters_of_the_second_schema_stay(
    tmp_path: Path,
) -> None:
    db = of_schema(tmp_path, 2)
    put(db, [Entry(BOB, RANK, 1, 0, 0, 0, 0, 100)])
    db.execute("INSERT INTO messages VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row(2))
    db.execute("INSERT INTO dead VALUES(2, 5, 2, 4, 0, 99, 'code', 'reason', 8)")
    db.execute("INSERT INTO totals VALUES(2, 1, 100), (3, 0, 0)")
    db.execute("""INSERT INTO counters VALUES(1, '{"accepted":2}')""")
    db.close()
    store = upgraded(tmp_path)
    snapshot = store.open()
    assert snapshot.counters == {"accepted": 2}
    assert snapshot.mailboxes == [Mailbox(2, 1, 100)]
    letter = store.mail.dead(BOB, 0, 9)[0]
    assert letter[:9] == (2, 5, 2, 4, 0, 99, "code", "reason", 8)
    with turn(store):
        store.mail.exhume(key(2))
        store.registry.put_counters({"accepted": 3})
        store.mail.put_totals([Mailbox(2, 2, 199)])
    assert waiting(store) == [1, 2]
    store.close()
    again = upgraded(tmp_path).open()
    assert (again.counters, again.mailboxes) == (
        {"accepted": 3},
        [Mailbox(2, 2, 199)],
    )


def test_attachments_of_the_fifth_schema_can_be_read(tmp_path: Path) -> None:
    db = of_schema(tmp_path, 5)
    sha = "ab" * 32
    db.execute("INSERT INTO blobs VALUES(?, 6, 6, 1, ?, 0)", (sha, ALICE))
    for at, piece in ((0, b"abc"), (3, b"def")):
        db.execute("INSERT INTO blob_chunks VALUES(?, ?, ?)", (sha, at, piece))
    db.close()
    store = upgraded(tmp_path)
    store.open()
    assert store.blobs.get(sha) == Blob(sha, 6, 6, 1, ALICE)
    assert store.blobs.read(sha, 1, 4) == b"bcde"
    maintain(store, 1, 0)
    maintain(store, 1 + UNUSED_BLOB_MS, 0)
    assert store._db.number("SELECT count(*) FROM blob_chunks") == 0
    assert store._db.number("SELECT count(*) FROM blobs") == 0
    store.close()


def test_a_database_that_never_counted_anything_is_upgraded(tmp_path: Path) -> None:
    of_schema(tmp_path, 2).close()
    store = upgraded(tmp_path)
    snapshot = store.open()
    assert (snapshot.counters, snapshot.mailboxes) == ({}, [])
    store.close()
