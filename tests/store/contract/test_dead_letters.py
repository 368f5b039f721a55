"""Dead letters: given up, listed, replayed, dropped."""

from __future__ import annotations

from ipcbus.store.base import Store
from ipcbus.store.records import Dead, fingerprint
from tests.store.making import (
    BOB,
    CAROL,
    RANK,
    entry,
    fill,
    key,
    row,
    share,
    turn,
    waiting,
)


def bury(store: Store, *seqs: int, mailbox: int = BOB) -> None:
    with turn(store):
        for seq in seqs:
            store.mail.bury(key(seq, mailbox), "max_attempts", "five times", 42)


def test_a_dead_letter_has_its_message_and_the_reason(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        store.mail.set_attempts([(5, *key(1))])
    bury(store, 1)
    letter = Dead(
        BOB, RANK, 1, 5, 0, 100, "max_attempts", "five times", 42, b"header", b"body"
    )
    assert store.mail.dead(BOB, 0, 10) == [letter]
    assert store.mail.find_dead(None, "id-000001") == [letter]
    assert store.mail.find_dead(CAROL, "id-000001") == []
    assert waiting(store) == []
    assert store.mail.entries_of(1) == []


def test_burying_what_does_not_wait_does_nothing(store: Store) -> None:
    bury(store, 1)
    assert store.mail.dead(None, 0, 10) == []


def test_dead_letters_are_listed_in_pages(store: Store) -> None:
    fill(store, range(1, 6))
    bury(store, 5, 3, 1, 2)
    assert [d.seq for d in store.mail.dead(None, 0, 3)] == [1, 2, 3]
    assert [d.seq for d in store.mail.dead(None, 3, 3)] == [5]
    assert [d.seq for d in store.mail.dead(BOB, 1, 1)] == [2]
    assert store.mail.dead(CAROL, 0, 10) == []


def test_those_of_one_message_are_not_split_between_pages(store: Store) -> None:
    share(store, 1, BOB, CAROL)
    share(store, 2, BOB, CAROL)
    for mailbox in (BOB, CAROL):
        bury(store, 1, 2, mailbox=mailbox)
    page = store.mail.dead(None, 0, 1)
    assert [(d.seq, d.mailbox) for d in page] == [(1, BOB), (1, CAROL)]
    assert [d.mailbox for d in store.mail.find_dead(None, "id-000002")] == [BOB, CAROL]


def test_an_exhumed_letter_waits_as_if_new(store: Store) -> None:
    with turn(store):
        store.mail.add([row(1)], [entry(1, expires=10)])
        store.mail.set_attempts([(5, *key(1))])
    bury(store, 1)
    with turn(store):
        store.mail.exhume(key(1))
    assert store.mail.entries_of(1) == [entry(1)]
    assert store.mail.dead(None, 0, 10) == []


def test_exhuming_what_is_not_dead_does_nothing(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        store.mail.exhume(key(1))
        store.mail.exhume(key(2))
    assert waiting(store) == [1]


def test_a_dropped_letter_can_stay_as_history(store: Store) -> None:
    fill(store, [1])
    bury(store, 1)
    with turn(store):
        store.mail.drop_dead(key(1), keep=True)
    assert store.mail.dead(None, 0, 10) == []
    assert store.mail.find("id-000001") == row(1)


def test_the_content_of_a_dropped_letter_goes(store: Store) -> None:
    fill(store, [1, 2])
    bury(store, 1)
    with turn(store):
        store.mail.drop_dead(key(1), keep=False)
        store.mail.drop_dead(key(2), keep=False)  # not dead: nothing happens to it
    found = store.mail.find("id-000001")
    assert found is not None
    assert (found.header, found.body) == (b"", fingerprint(b"header", b"body"))
    assert store.mail.find("id-000002") == row(2)


def test_a_dead_letter_keeps_the_content_that_another_mailbox_is_done_with(
    store: Store,
) -> None:
    share(store, 1, BOB, CAROL)
    bury(store, 1, mailbox=BOB)
    with turn(store):
        store.mail.remove([key(1, CAROL)], keep=False)
    assert [d.body for d in store.mail.dead(BOB, 0, 10)] == [b"body"]
    with turn(store):
        store.mail.drop_dead(key(1, BOB), keep=False)
    found = store.mail.find("id-000001")
    assert found is not None
    assert found.header == b""


def test_a_waiting_entry_keeps_the_content_of_a_dropped_letter(store: Store) -> None:
    share(store, 1, BOB, CAROL)
    bury(store, 1, mailbox=BOB)
    with turn(store):
        store.mail.drop_dead(key(1, BOB), keep=False)
    found = store.mail.get(key(1, CAROL))
    assert found is not None
    assert found.body == b"body"
