"""Messages and the mailboxes they wait in."""

from __future__ import annotations

from ipcbus.store.base import Store
from ipcbus.store.records import Entry, Waiting, fingerprint, totals_of
from tests.store.making import (
    ALICE,
    BOB,
    CAROL,
    RANK,
    entry,
    fill,
    first_reply,
    key,
    row,
    share,
    turn,
    waiting,
)

ALL = (-1, 0), 1000, 1 << 30


def test_a_message_waits_as_it_was_added(store: Store) -> None:
    message = row(1, thread="t", reply_to="r", header=b"\0h", body=b"\xff" * 3)
    place = entry(1, expires=77)
    with turn(store):
        assert store.mail.add([message], [place]) == []
    assert store.mail.find(message.id) == message
    assert store.mail.page(BOB, *ALL) == [Waiting(place, b"\0h", b"\xff" * 3)]
    assert store.mail.get(key(1)) == Waiting(place, b"\0h", b"\xff" * 3)
    assert store.mail.entries_of(1) == [place]


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.mail.find("nothing") is None
    assert store.mail.get(key(1)) is None
    assert store.mail.entries_of(1) == []
    assert store.mail.page(BOB, *ALL) == []
    assert store.mail.next_deadline() is None


def test_a_big_batch_is_stored_whole(store: Store) -> None:
    seqs = list(range(1, 1002))
    fill(store, seqs)
    assert waiting(store) == seqs


def test_a_known_id_is_reported_and_its_entry_is_not_stored(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        rows = [row(2), row(3, id_="id-000001", body=b"other"), row(4)]
        assert store.mail.add(rows, [entry(2), entry(3), entry(4)]) == [1]
    assert waiting(store) == [1, 2, 4]
    assert store.mail.find("id-000001") == row(1)


def test_an_id_twice_in_one_call_is_a_duplicate(store: Store) -> None:
    with turn(store):
        rows = [row(1), row(2, id_="id-000001"), row(3), row(4, id_="id-000003")]
        assert store.mail.add(rows, [entry(s) for s in (1, 2, 3, 4)]) == [1, 3]
    assert waiting(store) == [1, 3]


def test_a_duplicate_among_many_is_found(store: Store) -> None:
    fill(store, range(1, 200))
    rows = [row(seq, id_=f"id-{seq - 150:06d}") for seq in range(200, 400)]
    with turn(store):
        duplicates = store.mail.add(rows, [entry(r.seq) for r in rows])
    assert duplicates == list(range(150))
    assert waiting(store) == list(range(1, 200)) + list(range(350, 400))


def test_pages_come_by_rank_then_seq(store: Store) -> None:
    with turn(store):
        store.mail.add(
            [row(seq) for seq in range(1, 6)],
            [entry(seq, rank=rank) for seq, rank in enumerate((5, 0, 9, 5, 0), 1)],
        )
    assert waiting(store) == [2, 5, 1, 4, 3]
    page = store.mail.page(BOB, (0, 5), 2, 1 << 30)
    assert [w.entry.seq for w in page] == [1, 4]
    assert store.mail.page(BOB, (9, 3), 2, 1 << 30) == []


def test_a_page_holds_no_more_bytes_than_asked_but_one_message(store: Store) -> None:
    fill(store, [1, 2, 3], body=b"x" * 10)
    assert len(store.mail.page(BOB, (0, 0), 10, 20)) == 2
    assert len(store.mail.page(BOB, (0, 0), 10, 29)) == 2
    assert len(store.mail.page(BOB, (0, 0), 10, 0)) == 1


def test_a_page_leaves_out_what_is_due_later(store: Store) -> None:
    fill(store, [1, 2, 3])
    with turn(store):
        store.mail.set_due([(500, *key(2))])
    assert waiting(store) == [1, 3]
    assert store.mail.due(499, 10) == []
    assert [e.seq for e in store.mail.due(500, 10)] == [2]
    with turn(store):
        store.mail.set_due([(0, *key(2))])
    assert waiting(store) == [1, 2, 3]


def test_mailboxes_are_apart(store: Store) -> None:
    with turn(store):
        store.mail.add(
            [row(1), row(2, mailbox=CAROL)], [entry(1), entry(2, mailbox=CAROL)]
        )
    assert waiting(store, BOB) == [1]
    assert waiting(store, CAROL) == [2]
    assert waiting(store, ALICE) == []


def test_attempts_are_kept(store: Store) -> None:
    fill(store, range(1, 8))
    with turn(store):
        changes = [(1, *key(1)), (1, *key(2)), (3, *key(3)), (1, *key(5)), (2, *key(7))]
        store.mail.set_attempts([*changes, (9, *key(99))])
    page = store.mail.page(BOB, *ALL)
    assert [w.entry.attempt for w in page] == [1, 1, 3, 0, 1, 0, 2]


def test_deadlines_come_earliest_first(store: Store) -> None:
    with turn(store):
        store.mail.add(
            [row(seq) for seq in (1, 2, 3, 4)],
            [entry(1, expires=300), entry(2, expires=200), entry(3), entry(4, due=250)],
        )
    assert store.mail.next_deadline() == 200
    assert [w.entry.seq for w in store.mail.expired(300, 10)] == [2, 1]
    assert [w.entry.seq for w in store.mail.expired(300, 1)] == [2]
    assert store.mail.expired(199, 10) == []
    with turn(store):
        store.mail.set_expires([(0, *key(2)), (400, *key(3))])
    assert store.mail.next_deadline() == 250
    assert [w.entry.seq for w in store.mail.expired(500, 10)] == [1, 3]


def test_the_first_reply_in_a_mailbox_is_found(store: Store) -> None:
    with turn(store):
        store.mail.add(
            [
                row(1, reply_to="q"),
                row(2, reply_to="q"),
                row(3, reply_to="q", mailbox=CAROL),
                row(4),
            ],
            [entry(1), entry(2, rank=1), entry(3, mailbox=CAROL), entry(4)],
        )
    assert first_reply(store, BOB, "q") == 2
    assert first_reply(store, BOB, "q", held={2}) == 1
    assert first_reply(store, BOB, "q", held={1, 2}) is None
    assert first_reply(store, ALICE, "q") is None
    assert first_reply(store, BOB, "other") is None
    with turn(store):
        store.mail.set_due([(9, *key(2, rank=1))])
    assert first_reply(store, BOB, "q") == 1


def test_removal_takes_only_what_is_named(store: Store) -> None:
    fill(store, range(1, 11))
    with turn(store):
        keys = [key(2), key(3), key(4), key(7), key(9), key(8), key(99), key(10, CAROL)]
        store.mail.remove(keys, keep=True)
    assert waiting(store) == [1, 5, 6, 10]


def test_a_kept_message_stays_whole(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        store.mail.remove([key(1)], keep=True)
    assert store.mail.find("id-000001") == row(1)
    assert store.mail.entries_of(1) == []


def test_of_a_message_that_is_not_kept_the_id_stays(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        store.mail.remove([key(1)], keep=False)
    mark = fingerprint(b"header", b"body")
    assert store.mail.find("id-000001") == row(1)._replace(header=b"", body=mark)
    with turn(store):
        assert store.mail.add([row(2, id_="id-000001")], [entry(2)]) == [0]


def test_removing_twice_does_not_fingerprint_twice(store: Store) -> None:
    fill(store, [1])
    for _ in range(2):
        with turn(store):
            store.mail.remove([key(1)], keep=False)
    found = store.mail.find("id-000001")
    assert found is not None
    assert found.body == fingerprint(b"header", b"body")


def test_a_key_that_is_no_entry_harms_no_message(store: Store) -> None:
    fill(store, [1])
    with turn(store):
        store.mail.remove([key(1, CAROL), key(1, rank=0)], keep=False)
    assert store.mail.find("id-000001") == row(1)
    assert waiting(store) == [1]


def test_a_shared_message_is_stored_once_and_goes_with_its_last_entry(
    store: Store,
) -> None:
    share(store, 1, BOB, CAROL)
    assert [e.mailbox for e in store.mail.entries_of(1)] == [BOB, CAROL]
    with turn(store):
        store.mail.remove([key(1, BOB)], keep=False)
    assert store.mail.entries_of(1) == [Entry(CAROL, RANK, 1, 0, 0, 0, 1, 100)]
    found = store.mail.get(key(1, CAROL))
    assert found is not None
    assert found.body == b"body"
    with turn(store):
        store.mail.remove([key(1, CAROL)], keep=False)
    gone = store.mail.find("id-000001")
    assert gone is not None
    assert gone.header == b""


def test_a_duplicate_leaves_no_entry_in_any_mailbox(store: Store) -> None:
    share(store, 1, BOB, CAROL)
    share(store, 2, BOB, CAROL, id_="id-000001")
    assert waiting(store, BOB) == [1]
    assert store.mail.entries_of(2) == []


def test_a_message_without_recipients_is_only_remembered(store: Store) -> None:
    with turn(store):
        store.mail.add([row(1, mailbox=0)], [])
    assert store.mail.find("id-000001") == row(1, mailbox=0)


def test_totals_of_entries_are_their_sums() -> None:
    totals = totals_of([entry(1), entry(2), entry(3, CAROL)])
    assert [tuple(t) for t in totals.values()] == [(BOB, 2, 200), (CAROL, 1, 100)]
