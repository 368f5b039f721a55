"""What came back so often that it may be what kills its readers: when, and beside what
else it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ipcbus.broker.settings import Settings
from tests.broker.harness import Delivered, Harness, delivered, draft

ALICE, BOB, BOB2, BOB3 = b"alice", b"bob", b"bob/2", b"bob/3"
MANY = 100

Make = Callable[[int], Harness]


@pytest.fixture
def make() -> Iterator[Make]:
    """A bus with so many attempts."""
    made: list[Harness] = []

    def bus(max_attempts: int) -> Harness:
        made.append(Harness(Settings(max_attempts=max_attempts)))
        made[-1].join_up("alice", "bob")
        return made[-1]

    yield bus
    for one in made:
        one.close()


def _send(bus: Harness, *ids: str, priority: int = 4) -> None:
    assert bus.send(ALICE, *(draft(id_, "bob", priority=priority) for id_ in ids)) == []


def _ids(found: list[Delivered]) -> list[str]:
    return [one.header.id for one in found]


def _lose(bus: Harness, times: int = 1) -> None:
    """bob takes all there is, and dies of it."""
    for _ in range(times):
        bus.credit(BOB, MANY)
        bus.lose(BOB)
        bus.hello(BOB)


def test_what_is_given_once_at_most_is_given_with_others(make: Make) -> None:
    bus = make(1)
    _send(bus, "m1", "m2", "m3")
    assert _ids(bus.credit(BOB, MANY)) == ["m1", "m2", "m3"]


@pytest.mark.parametrize("max_attempts", [3, 4, 5])
def test_what_came_back_once_is_given_with_others_again(
    make: Make, max_attempts: int
) -> None:
    """Most of what comes back has done nothing, and would be slow one by one."""
    bus = make(max_attempts)
    _send(bus, "m1", "m2", "m3")
    _lose(bus)
    assert _ids(bus.credit(BOB, MANY)) == ["m1", "m2", "m3"]


def test_but_one_by_one_when_it_is_its_last_attempt(make: Make) -> None:
    bus = make(2)
    _send(bus, "m1", "m2", "m3")
    _lose(bus)
    assert _ids(bus.credit(BOB, MANY)) == ["m1"]


def test_what_waited_behind_it_is_given_beside_it(make: Make) -> None:
    bus = make(5)
    _send(bus, "m1")
    _lose(bus, times=2)
    _send(bus, "m2", "m3")
    assert _ids(bus.credit(BOB, MANY)) == ["m1", "m2", "m3"]


def test_it_is_given_beside_what_came_back_less_often(make: Make) -> None:
    bus = make(5)
    _send(bus, "m1")
    _lose(bus)
    _send(bus, "urgent", priority=9)
    _lose(bus)
    found = bus.credit(BOB, MANY)
    assert [(one.header.id, one.receipt[1]) for one in found] == [
        ("urgent", 2),
        ("m1", 3),
    ]


def test_two_that_came_back_are_shared_by_two_readers(make: Make) -> None:
    bus = make(5)
    _send(bus, "m1", "m2")
    assert _ids(bus.credit(BOB, MANY)) == ["m1", "m2"]
    for other in (BOB2, BOB3):
        bus.hello(other)
        bus.credit(other, MANY)
    done = bus.lose(BOB)
    found = [_ids(delivered(done, other)) for other in (BOB2, BOB3)]
    assert sorted(found) == [["m1"], ["m2"]]
