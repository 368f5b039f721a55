"""Entries said as runs: places on the way in, runs on the way out."""

from __future__ import annotations

from ipcbus.store.base import Store
from ipcbus.store.records import Entry, Key, Place, Row, Run
from tests.store.making import (
    BOB,
    CAROL,
    RANK,
    entry,
    fill,
    first_reply,
    key,
    row,
    turn,
    waiting,
)

HEAD, TEXT = b"header", b"body"


def place(first: int, last: int, mailbox: int = BOB, *, expires: int = 0) -> Place:
    return Place(mailbox, RANK, first, last, 1, expires)


def add(store: Store, rows: list[Row], *places: Place) -> list[int]:
    with turn(store):
        return store.mail.add(rows, [], places)


def entries(store: Store, mailbox: int = BOB) -> list[Entry]:
    return [w.entry for w in store.mail.page(mailbox, (-1, 0), 10_000, 1 << 40)]


def test_a_place_stands_for_an_entry_of_each_of_its_messages(store: Store) -> None:
    rows = [row(1, body=b""), row(2, body=b"123"), row(3, mailbox=CAROL), row(4)]
    assert (
        add(store, rows, place(1, 2, expires=9), place(3, 3, CAROL), place(4, 4)) == []
    )
    assert entries(store) == [
        Entry(BOB, RANK, 1, 1, 0, 9, 0, len(HEAD)),
        Entry(BOB, RANK, 2, 1, 0, 9, 0, len(HEAD) + 3),
        Entry(BOB, RANK, 4, 1, 0, 0, 0, len(HEAD) + len(TEXT)),
    ]
    assert store.mail.entries_of(2) == [entries(store)[1]]
    assert [w.entry.seq for w in store.mail.expired(9, 10)] == [1, 2]
    assert [w.entry.seq for w in store.mail.expired(9, 1)] == [1]
    assert waiting(store, CAROL) == [3]


def test_of_a_place_the_known_messages_are_left_out(store: Store) -> None:
    fill(store, [1])
    known = {2, 4, 5, 8}
    rows = [row(s, id_="id-000001" if s in known else None) for s in range(2, 9)]
    with turn(store):
        assert store.mail.add(rows, [], [place(2, 6), place(7, 8)]) == [0, 2, 3, 6]
    assert waiting(store) == [1, 3, 6, 7]
    for seq in known:
        assert store.mail.entries_of(seq) == []
        assert store.mail.get(key(seq)) is None
    with turn(store):
        store.mail.set_due([(5, *key(seq)) for seq in (1, 3, 6, 7)])
    assert store.crossings.delayed(BOB) == 4


def test_pages_begin_and_end_anywhere_in_a_place(store: Store) -> None:
    add(store, [row(s, body=b"12345") for s in range(1, 10)], place(1, 9))
    for after in range(10):
        page = store.mail.page(BOB, (RANK, after), 3, 1 << 30)
        assert [w.entry.seq for w in page] == list(range(after + 1, 10))[:3]
        page = store.mail.page(BOB, (RANK, after), 3, 10)
        assert [w.entry.seq for w in page] == list(range(after + 1, 10))[:2]
    assert store.mail.page(BOB, (RANK + 1, 0), 3, 10) == []
    assert len(store.mail.page(BOB, (RANK - 1, 99), 99, 1 << 30)) == 9


def test_one_entry_of_a_place_is_changed_and_the_others_are_not(store: Store) -> None:
    add(store, [row(s) for s in range(1, 8)], place(1, 7))
    with turn(store):
        store.mail.set_due([(50, *key(4))])
        store.mail.set_expires([(60, *key(1)), (61, *key(7))])
        store.mail.set_attempts([(3, *key(s)) for s in (2, 3, 4, 5)])
    found = [store.mail.entries_of(seq)[0] for seq in range(1, 8)]
    assert [e.due for e in found] == [0, 0, 0, 50, 0, 0, 0]
    assert [e.expires for e in found] == [60, 0, 0, 0, 0, 0, 61]
    assert [e.attempt for e in found] == [1, 3, 3, 3, 3, 1, 1]
    assert [e.size for e in found] == [len(HEAD) + len(TEXT)] * 7
    assert waiting(store) == [1, 2, 3, 5, 6, 7]
    with turn(store):
        store.crossings.wake(BOB)
        store.mail.bury(key(6), "code", "reason", 1)
    assert waiting(store) == [1, 2, 3, 4, 5, 7]
    letter = store.mail.dead(BOB, 0, 10)[0]
    assert (letter.seq, letter.attempt, letter.size) == (6, 1, len(HEAD) + len(TEXT))
    with turn(store):
        store.mail.exhume(key(6))
    assert waiting(store) == list(range(1, 8))


def test_a_run_takes_what_is_there_between_its_ends(store: Store) -> None:
    add(
        store,
        [*(row(s) for s in range(1, 8)), row(8, mailbox=CAROL), row(9)],
        place(1, 7),
        place(8, 8, CAROL),
        place(9, 9),
    )
    with turn(store):
        store.mail.set_attempts([(2, *key(5))])
        store.mail.remove_runs([Run(BOB, RANK, 3, 3)], keep=True)
    assert waiting(store) == [1, 2, 4, 5, 6, 7, 9]
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 2, 8), Run(BOB, 0, 1, 9)], keep=True)
    assert waiting(store) == [1, 9]
    assert waiting(store, CAROL) == [8]
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, -5, 99), Run(CAROL, 1, 8, 8)], keep=True)
        store.mail.remove_runs([], keep=True)
    assert waiting(store) == []
    assert waiting(store, CAROL) == [8]


def test_a_place_is_removed_from_its_front_middle_and_end(store: Store) -> None:
    add(store, [row(s) for s in range(1, 101)], place(1, 100))
    left = list(range(1, 101))
    for first, last in ((1, 1), (2, 10), (100, 100), (50, 60), (49, 49), (55, 70)):
        with turn(store):
            store.mail.remove_runs([Run(BOB, RANK, first, last)], keep=True)
        left = [seq for seq in left if not first <= seq <= last]
        assert waiting(store) == left
    with turn(store):
        store.mail.remove([Key(BOB, RANK, seq) for seq in left[::2]], keep=True)
    assert waiting(store) == left[1::2]


def test_of_a_run_that_is_not_kept_the_ids_stay(store: Store) -> None:
    add(store, [row(s) for s in range(1, 6)], place(1, 5))
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 2, 4)], keep=False)
    for seq in range(1, 6):
        found = store.mail.find(f"id-{seq:06d}")
        assert found is not None
        assert bool(found.header) == (seq in (1, 5))
    assert waiting(store) == [1, 5]


def test_a_shared_message_in_a_run_goes_with_its_last_entry(store: Store) -> None:
    both = [entry(1, BOB, shared=1), entry(1, CAROL, shared=1)]
    with turn(store):
        store.mail.add([row(1, mailbox=0), row(2)], both, [place(2, 2)])
    for mailbox, stays in ((BOB, True), (CAROL, False)):
        with turn(store):
            store.mail.remove_runs([Run(mailbox, RANK, 1, 2)], keep=False)
        found = store.mail.find("id-000001")
        assert found is not None
        assert bool(found.header) == stays


def test_the_first_reply_is_found_within_a_place(store: Store) -> None:
    rows = [row(s, reply_to="q" if s in (3, 5) else None) for s in range(1, 7)]
    add(store, rows, place(1, 6))
    for expected in (3, 5):
        assert first_reply(store, BOB, "q") == expected
        with turn(store):
            store.mail.remove([key(expected)], keep=True)
    assert first_reply(store, BOB, "q") is None


def test_what_is_late_is_found_within_a_place(store: Store) -> None:
    add(store, [row(s) for s in range(1, 10)], place(1, 9))
    late = store.crossings.late(BOB, 7000, 3, 3)
    assert [w.entry.seq for w in late] == [4, 5, 6]
    assert [w.entry.seq for w in store.crossings.late(BOB, 7000, 5, 9)] == [6, 7]


def test_each_message_of_a_place_has_a_state_of_its_own(store: Store) -> None:
    add(store, [row(s) for s in range(1, 4)], place(1, 3))
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 2, 2)], keep=True)
        store.mail.bury(key(3), "code", "reason", 1)
    states = [store.archive.state(seq, BOB) for seq in (1, 2, 3)]
    assert states == ["waiting", "done", "dead"]
    with turn(store):
        while store.archive.maintain(1 << 50, 1, 10):
            pass
    assert [store.mail.find(f"id-{s:06d}") is None for s in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
