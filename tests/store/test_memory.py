"""What only the memory store can: be fenced and be full at will, be opened again."""

from __future__ import annotations

import pytest

from ipcbus.errors import Fenced, StoreFull
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.memory.store import MESSAGE_BYTES
from ipcbus.store.records import Run
from tests.store.making import (
    BOB,
    RANK,
    entry,
    fill,
    key,
    maintain,
    row,
    turn,
    waiting,
)


def test_it_is_a_store() -> None:
    store: Store = MemoryStore()
    assert store.open().epoch == 1


def test_a_usurped_store_refuses_writes_and_undoes_the_turn() -> None:
    store = MemoryStore()
    store.open()
    fill(store, [1])
    store.begin()
    store.mail.add([row(2)], [entry(2)])
    store.usurp()
    with pytest.raises(Fenced):
        store.mail.remove([key(1)], keep=True)
    assert waiting(store) == [1]
    assert store.open().epoch == 3


def test_a_full_store_refuses_the_turn_and_undoes_it() -> None:
    store = MemoryStore(capacity=25)
    store.open()
    fill(store, [1, 2])
    assert store.room() == 5
    store.begin()
    store.mail.remove([key(1)], keep=False)
    with pytest.raises(StoreFull):
        store.mail.add([row(3), row(4)], [entry(3), entry(4)])
    store.rollback()
    assert waiting(store) == [1, 2]
    with turn(store):
        store.mail.remove([key(1)], keep=False)
    assert store.room() == 15


def test_what_was_written_outside_of_a_turn_is_a_bug() -> None:
    store = MemoryStore()
    store.open()
    with pytest.raises(AssertionError):
        store.mail.add([row(1)], [])


def test_what_is_kept_beside_a_message_counts_too() -> None:
    """So that the memory of a process is bounded by what is given, about."""
    store = MemoryStore(store_bytes=100 * (MESSAGE_BYTES + 10))
    store.open()
    fill(store, range(1, 100))
    assert store.room() == MESSAGE_BYTES + 10
    fill(store, [100])
    with pytest.raises(StoreFull):
        fill(store, [101])
    store.rollback()
    assert waiting(store) == list(range(1, 101))


def test_a_store_that_is_nearly_full_forgets_the_oldest_of_its_history() -> None:
    """What was acked goes before its time, ids last; what waits stays."""
    store = MemoryStore(store_bytes=1000 * (MESSAGE_BYTES + 10))
    store.open()
    fill(store, range(1, 1001))
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 1, 900)], keep=True)
    maintain(store, now=1001_000, history_ms=1 << 40)
    assert waiting(store) == list(range(901, 1001))
    assert store.mail.find("id-000001") is None
    assert store.mail.find("id-000900") is not None
    assert store.room() > 1000 * MESSAGE_BYTES // 16


def test_keeping_house_is_done_in_steps() -> None:
    store = MemoryStore()
    store.open()
    fill(store, range(1, 1001))
    with turn(store):
        store.mail.remove_runs([Run(BOB, RANK, 1, 1000)], keep=True)
    with turn(store):
        assert store.archive.maintain(1 << 50, 1, 10)
    assert store.mail.find("id-000999") is not None
    maintain(store, 1 << 50, 1)
    assert store.mail.find("id-001000") is None
    assert store.open().last_seq == 1000
