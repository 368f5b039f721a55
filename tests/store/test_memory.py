"""What only the memory store can: be fenced and be full at will, be opened again."""

from __future__ import annotations

import pytest

from ipcbus.errors import Fenced, StoreFull
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from tests.store.making import entry, fill, key, row, turn, waiting


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
