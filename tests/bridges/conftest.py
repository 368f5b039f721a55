"""Two networks with people in them, and no bridge yet.

`town` is over the store in memory; `both` over that one and over SQLite, for what the
store must do its part in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.sqlite import SqliteStore
from tests.bridges.cluster import Cluster

PEOPLE = ("alice@dev", "amy@dev", "bob@prod", "ben@prod")

Make = Callable[..., Cluster]
"""Makes `dev` and `prod`, with settings for each by name."""


def _maker(store: Callable[[str], Store]) -> tuple[Make, list[Cluster]]:
    made: list[Cluster] = []

    def again(name: str, old: Store) -> Store:
        if isinstance(old, MemoryStore):
            return old
        old.close()
        return store(name)

    def make(**settings: Settings) -> Cluster:
        town = Cluster("dev", "prod", settings=settings, make=store, reopen=again)
        made.append(town)
        town.people(*PEOPLE)
        return town

    return make, made


@pytest.fixture
def make_town() -> Iterator[Make]:
    make, made = _maker(lambda name: MemoryStore(network=name))
    yield make
    for town in made:
        town.close()


@pytest.fixture
def town(make_town: Make) -> Cluster:
    return make_town()


@pytest.fixture(params=["memory", "sqlite"])
def make_both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    def store(name: str) -> Store:
        if request.param == "memory":
            return MemoryStore(network=name)
        return SqliteStore(tmp_path / f"{name}.db", network=name, ballast=None)

    make, made = _maker(store)
    yield make
    for town in made:
        town.close()


@pytest.fixture
def both(make_both: Make) -> Cluster:
    return make_both()
