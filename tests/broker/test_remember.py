"""What was read before this network knew of it is history from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.sqlite import SqliteStore
from tests.broker.harness import OPERATOR, Harness, key_of

ARGS = ("m-1", "alice", "Bob")


Make = Callable[[Settings], Harness]


@pytest.fixture(params=["memory", "sqlite"])
def make_bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Harness] = []

    def store() -> Store:
        if request.param == "memory":
            return MemoryStore()
        return SqliteStore(tmp_path / "bus.db", network="dev", ballast=None)

    def again(old: Store) -> Store:
        if isinstance(old, MemoryStore):
            return old
        old.close()
        return store()

    def make(settings: Settings) -> Harness:
        made.append(Harness(settings, store, again))
        made[-1].join_up("alice", "bob", "carol")
        return made[-1]

    yield make
    for bus in made:
        bus.broker.check_invariants()
        bus.close()


@pytest.fixture
def people(make_bus: Make) -> Harness:
    return make_bus(Settings())


def remember(bus: Harness, id_: str = "m-1", text: bytes = b"long ago") -> int:
    (stored,) = bus.call(OPERATOR, "remember", id_, *ARGS[1:], body=text)
    return int(stored)


def past(bus: Harness, name: bytes) -> list[tuple[str, str, str]]:
    rows, _, _ = bus.call(name, "history", 10, None, None, None, 100)
    return [(header.sender, header.to, state) for _, state, _, header in rows]


def test_both_find_it_and_nobody_else(people: Harness) -> None:
    assert remember(people) == 1

    assert past(people, b"alice") == [("alice", "bob", "done")]
    assert past(people, b"bob") == [("alice", "bob", "done")]
    assert past(people, b"carol") == []
    rows, *_ = people.call(b"bob", "search", "long", 10, None, 100)
    assert [header.id for _, _, _, header in rows] == ["m-1"]


def test_it_is_delivered_to_nobody(people: Harness) -> None:
    before = people.counters()
    people.credit(b"bob", 10)
    remember(people)

    assert people.fetch(b"bob") == []
    assert people.call(b"bob", "whoami")[3] == 0
    assert people.counters() == before


def test_the_same_again_is_known(people: Harness) -> None:
    assert [remember(people), remember(people)] == [1, 0]
    assert len(past(people, b"bob")) == 1


def test_it_outlives_a_restart(people: Harness) -> None:
    remember(people)
    people.restart()
    people.hello(b"bob")

    assert past(people, b"bob") == [("alice", "bob", "done")]


def test_only_an_operator_may(people: Harness) -> None:
    assert people.refused(b"alice", "remember", *ARGS).code == "not_permitted"


def test_what_makes_no_sense_is_refused(people: Harness) -> None:
    refused = people.refused
    assert refused(OPERATOR, "remember", "m", "nobody", "bob").code == (
        "unknown_recipient"
    )
    assert refused(OPERATOR, "remember", "a b", "alice", "bob").code == (
        "invalid_message"
    )
    assert refused(OPERATOR, "remember", "ipcbus-1", "alice", "bob").code == (
        "invalid_message"
    )


def test_a_network_without_history_remembers_nothing(make_bus: Make) -> None:
    bus = make_bus(Settings(history_ms=0))
    assert bus.refused(OPERATOR, "remember", *ARGS).code == "not_permitted"


def test_it_is_forgotten_with_the_history(make_bus: Make) -> None:
    bus = make_bus(Settings(history_ms=60_000))
    remember(bus)
    bus.advance(61)
    bus.hello(b"bob")
    bus.store.begin()
    while bus.store.archive.maintain(bus.now.wall, 60_000, 100):
        pass
    bus.store.commit()

    assert past(bus, b"bob") == []


@pytest.mark.parametrize("ends", [("@prod", "bob"), ("alice", "@prod")])
def test_a_link_has_said_and_read_nothing(
    people: Harness, ends: tuple[str, str]
) -> None:
    people.call(OPERATOR, "link", "prod", key_of("bridge"), "out")
    refusal = people.refused(OPERATOR, "remember", "m-1", *ends)
    assert refusal.code == "unknown_recipient"
    assert people.refused(b"alice", "register", "@prod", key_of("x")).code == (
        "not_permitted"
    )
