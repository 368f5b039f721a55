"""The index of words: begun anew each day, searched as one, dropped when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite import eras as eras_module
from ipcbus.store.sqlite.eras import ERA_MS
from tests.store.making import ALICE, BOB, entry, key, maintain, row, turn
from tests.store.test_migrations import of_schema, put, upgraded

WEEK = 7 * ERA_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "bus.db", network="test", ballast=None)
    store.open()
    yield store
    store.close()


def say(store: SqliteStore, *words: str, day: int = 0, ack: bool = True) -> list[int]:
    """A message for each body, of a day; their seqs."""
    last = "max(last_seq, (SELECT ifnull(max(seq), 0) FROM messages))"
    first = store._db.number(f"SELECT {last} + 1 FROM meta")
    seqs = list(range(first, first + len(words)))
    rows = [
        row(seq, body=body.encode(), at=day * ERA_MS + 1)
        for seq, body in zip(seqs, words, strict=True)
    ]
    with turn(store):
        store.mail.add(rows, [entry(seq) for seq in seqs])
        if ack:
            store.mail.remove([key(seq) for seq in seqs], keep=True)
    return seqs


def found(store: SqliteStore, query: str, limit: int = 99) -> list[int]:
    with turn(store):
        answer = store.archive.search(BOB, query, limit=limit, before=None)
    return [one.seq for one in answer]


def eras(store: SqliteStore) -> list[int]:
    """Their first seqs; each has its tables, and there are no others."""
    rows = store._db.read("SELECT first FROM eras ORDER BY first").fetchall()
    tables = store._db.read(
        "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%' ORDER BY name"
    ).fetchall()
    firsts = [int(str(first)) for (first,) in rows]
    assert [name for (name,) in tables] == sorted(f"words_{n}" for n in firsts)
    return firsts


def index(store: SqliteStore) -> None:
    """And purge nothing."""
    maintain(store, 0, WEEK)


def test_each_day_has_its_own_and_a_search_goes_through_them(
    store: SqliteStore,
) -> None:
    for day in range(3):
        say(store, "red", f"green day{day}", day=day)
        index(store)
    assert eras(store) == [1, 3, 5]
    assert found(store, "red") == [5, 3, 1]
    assert found(store, "red", limit=2) == [5, 3]
    assert found(store, "day1") == [4]
    with turn(store):
        page = store.archive.search(ALICE, "green", limit=9, before=4)
    assert [one.seq for one in page] == [2]


def test_a_full_one_is_followed_by_another(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eras_module, "ERA_BYTES", 30)
    seqs = say(store, *["red"] * 45)
    index(store)
    assert eras(store) == [1, 11, 21, 31, 41]
    assert found(store, "red") == seqs[::-1]


def test_one_whose_messages_were_purged_is_dropped(store: SqliteStore) -> None:
    for day in range(3):
        say(store, *["red green"] * 20, day=day)
        index(store)
    maintain(store, WEEK + ERA_MS, WEEK)
    assert eras(store) == [21, 41]
    assert found(store, "green") == list(range(60, 20, -1))
    maintain(store, 9 * WEEK, WEEK)
    assert eras(store) == []
    assert found(store, "green") == []
    say(store, "green", day=100)
    index(store)
    assert found(store, "green") == [61]


def test_it_is_dropped_in_steps_and_not_searched_meanwhile(store: SqliteStore) -> None:
    say(store, *[f"red word{n}" for n in range(2000)])
    index(store)
    say(store, "red", day=1)
    index(store)
    with turn(store):
        store.mail.add([row(2002, at=2 * ERA_MS)], [])
        store._db.write().execute("DELETE FROM messages WHERE seq <= 2000")
    steps = 0
    more = True
    while more:
        with turn(store):
            more = store.archive.maintain(0, WEEK, 2)
        steps += 1
        assert found(store, "red") == [2001]
    assert steps > 3
    assert eras(store) == [2001]


def test_one_that_is_being_dropped_takes_no_new_words(store: SqliteStore) -> None:
    say(store, *[f"red word{n}" for n in range(2000)])
    index(store)
    with turn(store):
        store._db.write().execute("DELETE FROM messages")
        store._db.write().execute("UPDATE meta SET last_seq = 2000")
    with turn(store):
        assert store.archive.maintain(0, WEEK, 2), "it is dropped in steps"
    (new,) = say(store, "red")
    for _ in range(3):
        index(store)
        assert found(store, "red") == [new]
    assert eras(store) == [new]


def test_a_message_that_waits_keeps_its_era(store: SqliteStore) -> None:
    waits = say(store, "red", ack=False)
    say(store, "red")
    index(store)
    say(store, "red", day=1)
    index(store)
    maintain(store, 9 * WEEK, WEEK)
    assert found(store, "red") == waits
    assert eras(store)[0] == 1


def test_what_was_indexed_before_there_were_eras_is_found(tmp_path: Path) -> None:
    db = of_schema(tmp_path, 2)
    put(db, [entry(1), entry(2)])
    db.execute(
        "INSERT INTO words(rowid, body, data) VALUES(1, 'red', ''), (2, 'x', '')"
    )
    db.execute("INSERT INTO participants VALUES(1, 1, 1), (1, 2, 1), (2, 1, 2)")
    db.execute("UPDATE meta SET indexed_to = 2")
    db.close()
    store = upgraded(tmp_path)
    store.open()
    assert found(store, "red") == [1]
    say(store, "red", day=1, ack=False)
    assert found(store, "red") == [3, 1]
    assert eras(store) == [0, 3]
    with turn(store):
        store.mail.remove([key(1), key(2)], keep=False)
    assert found(store, "red") == [3]
    maintain(store, 9 * WEEK, 0)
    assert eras(store) == [3]
    store.close()
