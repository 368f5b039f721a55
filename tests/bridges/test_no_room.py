"""A store without room puts off what a bridge brings, and takes it when it can."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from tests.bridges.cluster import Cluster
from tests.broker.harness import Delivered

ALICE, BOB = "alice@dev", "bob@prod"
BODY = "x" * 1000
ROOM = {"dev": None, "prod": 40_000}
COUNT = 60


@pytest.fixture
def town() -> Iterator[Cluster]:
    def make(name: str) -> Store:
        return MemoryStore(network=name, capacity=ROOM[name])

    forgetful = Settings(history_ms=0)
    town = Cluster("dev", "prod", settings=forgetful, make=make)
    town.people(ALICE, BOB)
    yield town
    town.close()


def read(town: Cluster) -> list[Delivered]:
    mail = town.read(BOB)
    town.run()
    return mail


def test_what_has_no_room_waits_at_home_and_comes_whole_and_in_order(
    town: Cluster,
) -> None:
    town.bridge("dev", "prod")
    ids = [f"m{n}" for n in range(COUNT)]
    for id_ in ids:
        assert town.send(ALICE, BOB, as_=id_, body=BODY) == "accepted"
    town.run()
    link = town.described("dev", "prod")
    assert 0 < link["held"] < COUNT
    found: list[str] = []
    for _ in range(COUNT):
        found += [one.header.id for one in read(town)]
        town.advance(5)
        if len(found) >= COUNT:
            break
    assert found == [f"{id_}@dev" for id_ in ids]
    assert town.read(ALICE) == [], "nobody is told of what came in the end"


def test_what_was_put_off_is_not_overtaken_by_what_is_smaller(town: Cluster) -> None:
    town.bridge("dev", "prod")
    for n in range(COUNT):
        town.send(ALICE, BOB, as_=f"m{n}", body=BODY)
    town.send(ALICE, BOB, as_="last", body="x")
    town.run()
    found: list[str] = []
    for _ in range(COUNT):
        found += [one.header.id for one in read(town)]
        town.advance(5)
    assert found[-1] == "last@dev"
    assert len(found) == COUNT + 1
