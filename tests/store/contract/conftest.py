"""Every test of this folder runs over every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def unopened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes a store, each time on the same disk."""
    if request.param == "memory":
        memory = MemoryStore()
        return lambda: memory
    return lambda: SqliteStore(
        tmp_path / "bus.db", network="test", ballast=tmp_path / "ballast"
    )


@pytest.fixture
def store(unopened: Callable[[], Store]) -> Iterator[Store]:
    store = unopened()
    store.open()
    yield store
    store.close()
