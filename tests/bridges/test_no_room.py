"""A store without room puts off what a bridge brings, and takes it when it can."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus_bridges.rules import Terms
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


@pytest.mark.parametrize("rest", [("m2",), ("m2", "m2", "m1")])
def test_nothing_goes_for_what_is_sent_again(rest: tuple[str, ...]) -> None:
    """Where the oldest go for the newest, what is known already is no newer one."""
    town = Cluster("dev", "prod")
    town.people("alice@dev", "bob@prod")
    rule = "* -> #chat overflow=drop_oldest"
    there, _ = town.bridge("dev", "prod", rule, terms=Terms(messages=2))
    town.nets["prod"].call(b"bob", "join", "**")
    there.cut()
    for id_ in ("m1", "m2", *rest):
        assert town.send("alice@dev", "#chat", as_=id_) == "accepted"
    there.heal()
    town.run()
    assert [one.header.id for one in town.read("bob@prod")] == ["m1@dev", "m2@dev"]
    assert town.described("dev", "prod")["counters"]["filtered"] == 0
    town.close()
