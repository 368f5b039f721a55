"""Turns: what is committed stays, what is rolled back never was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.errors import StoreFailed
from ipcbus.store.base import Store
from ipcbus.store.records import Mailbox, Snapshot
from tests.store.making import fill, key, row, turn, waiting

Unopened = Callable[[], Store]


def reopened(unopened: Unopened, store: Store) -> Snapshot:
    store.close()
    again = unopened()
    snapshot = again.open()
    again.close()
    return snapshot


def test_a_new_store_is_empty_and_of_the_first_epoch(unopened: Unopened) -> None:
    store = unopened()
    found = store.open()
    assert len(found.network_id) == 16
    assert found._replace(network_id="") == Snapshot(1, 0, 0, {}, [], [], [], [], [])
    store.close()


def test_every_open_raises_the_epoch(unopened: Unopened, store: Store) -> None:
    assert reopened(unopened, store).epoch == 2
    assert reopened(unopened, store).epoch == 3


def test_reads_of_a_turn_see_its_writes(store: Store) -> None:
    store.begin()
    store.mail.add([row(1)], [])
    assert store.mail.find("id-000001") == row(1)
    store.rollback()


def test_a_rollback_takes_everything_back(store: Store) -> None:
    fill(store, [1, 2])
    store.begin()
    store.mail.remove([key(1)], keep=False)
    store.mail.set_due([(99, *key(2))])
    store.mail.put_totals([Mailbox(2, 1, 100)])
    store.blobs.begin("a" * 64, 10, 1, 0)
    store.rollback()
    assert waiting(store) == [1, 2]
    assert store.mail.find("id-000001") == row(1)
    assert store.blobs.get("a" * 64) is None


def test_a_rollback_of_nothing_is_harmless(store: Store) -> None:
    store.rollback()
    store.begin()
    store.rollback()
    store.rollback()
    fill(store, [1])


def test_an_empty_turn_changes_nothing(store: Store) -> None:
    store.begin()
    store.commit()
    store.begin()
    store.mail.remove([], keep=True)
    store.mail.put_totals([])
    store.mail.set_attempts([])
    assert store.mail.add([], []) == []
    store.commit()


def test_the_last_seq_and_time_are_known_after_a_restart(
    unopened: Unopened, store: Store
) -> None:
    fill(store, [5, 9])
    snapshot = reopened(unopened, store)
    assert (snapshot.last_seq, snapshot.last_wall) == (9, 9000)


def test_what_was_not_committed_is_gone_after_a_restart(
    unopened: Unopened, store: Store
) -> None:
    fill(store, [1])
    store.begin()
    store.mail.add([row(2)], [])
    store.close()
    again = unopened()
    assert again.open().last_seq == 1
    assert again.mail.find("id-000002") is None
    again.close()


def test_totals_are_given_back_but_for_those_of_empty_mailboxes(
    unopened: Unopened, store: Store
) -> None:
    with turn(store):
        store.mail.put_totals([Mailbox(3, 1, 10), Mailbox(2, 5, 50), Mailbox(4, 1, 1)])
    with turn(store):
        store.mail.put_totals([Mailbox(3, 2, 20), Mailbox(4, 0, 0)])
    mailboxes = reopened(unopened, store).mailboxes
    assert mailboxes == [Mailbox(2, 5, 50), Mailbox(3, 2, 20)]


def test_there_is_room_and_there_are_facts(store: Store) -> None:
    assert store.room() > 0
    facts = store.facts()
    assert facts["epoch"] == 1
    assert str(facts["synchronous"]) == "full" or facts["engine"] == "memory"


def test_a_backup_does_not_overwrite(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    fill(store, [1])
    assert list(store.backup(target))[-1] > 0
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreFailed):
        list(store.backup(target))


def test_a_backup_into_a_folder_that_is_not_there_fails(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(StoreFailed, match="missing"):
        list(store.backup(tmp_path / "missing" / "copy"))
    fill(store, [1])  # and the store lives on


def test_closing_twice_is_harmless(store: Store) -> None:
    store.close()
    store.close()
