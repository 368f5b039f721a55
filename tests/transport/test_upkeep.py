"""Indexing, purging and backups between turns, on a store that only counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipcbus.broker.events import BackedUp, Backup, Now
from ipcbus.errors import StoreFailed
from ipcbus.transport import upkeep
from ipcbus.transport.upkeep import Backups, Upkeep

PEER = b"\0abcd"


class Counting:
    """A store whose upkeep takes as long as the test says."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.takes = self.sync_takes = 0.0
        self.rows = 0
        self.free = 1 << 40
        self.limits: list[int] = []
        self.turns: list[str] = []

    @property
    def archive(self) -> Counting:
        return self

    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        self.limits.append(limit)
        self.mono += self.takes
        self.rows = max(0, self.rows - limit)
        return self.rows > 0

    def begin(self) -> None:
        self.turns.append("begin")

    def commit(self) -> None:
        self.turns.append("commit")
        self.mono += self.sync_takes

    def room(self) -> int:
        return self.free

    def backup(self, path: Path) -> Iterator[int]:
        yield 10
        if path.name == "bad":
            raise StoreFailed(reason="no space on the target")
        yield 20


@pytest.fixture
def store() -> Counting:
    return Counting()


def make(store: Any) -> Upkeep:
    return Upkeep(store, history_ms=7, mono=lambda: store.mono)


def step(store: Counting, keeper: Upkeep) -> bool:
    """Whether it did something."""
    before = len(store.limits)
    keeper.step(Now(store.mono, 0))
    return len(store.limits) > before


def test_each_step_is_a_transaction_of_its_own(store: Counting) -> None:
    keeper = make(store)
    assert step(store, keeper)
    assert store.turns == ["begin", "commit"]


def test_it_rests_when_there_is_nothing_to_do(store: Counting) -> None:
    keeper = make(store)
    assert step(store, keeper)
    assert not step(store, keeper)
    assert keeper.wait(store.mono) == upkeep.QUIET_S
    store.mono += upkeep.QUIET_S
    assert step(store, keeper)


def test_what_a_turn_stored_is_indexed_within_a_second(store: Counting) -> None:
    keeper = make(store)
    step(store, keeper)
    keeper.touch(store.mono)
    store.mono += 0.5
    keeper.touch(store.mono)  # another turn does not put it off
    assert keeper.wait(store.mono) == pytest.approx(0.5)
    store.mono += 0.5
    assert step(store, keeper)


def test_steps_fit_the_time_that_one_may_take(store: Counting) -> None:
    keeper = make(store)
    store.rows = 1 << 30
    for _ in range(20):
        step(store, keeper)
        store.mono = max(store.mono, keeper._at)
    assert store.limits[-1] == upkeep.MOST
    store.takes = 0.01
    for _ in range(20):
        step(store, keeper)
        store.mono = max(store.mono, keeper._at)
    assert store.limits[-1] == upkeep.FEWEST


def test_a_slow_disk_does_not_make_steps_small(store: Counting) -> None:
    """On one that syncs in 10 ms, in use all the time, 800 rows a second are done."""
    keeper = make(store)
    store.rows, store.sync_takes = 1 << 30, 0.01
    ends = store.mono + 10
    while store.mono < ends:
        keeper.touch(store.mono)
        store.takes = keeper._limit * 10e-6
        step(store, keeper)
        store.mono += 0.002
    assert sum(store.limits) > 8_000


def test_in_steady_use_it_keeps_up(store: Counting) -> None:
    """On a machine so busy that a step of the fewest rows takes long: when it has been
    behind for a minute it takes a larger share, until nothing is left to do."""
    keeper = make(store)
    store.rows, store.takes = 100_000, 0.005
    began, left = store.mono, [100_000]
    while store.mono < began + 300:
        keeper.touch(store.mono)
        step(store, keeper)
        store.mono += 0.01
        store.rows += 3  # 200 to 300 a second
        left.append(store.rows)
    assert max(left) > 90_000
    assert left[-1] < 1_000


@pytest.mark.parametrize(
    ("idle", "free", "share"),
    [(True, 1 << 40, 2), (False, 1 << 40, 21), (False, 0, 3)],
    ids=["idle", "busy", "busy and little room"],
)
def test_a_share_of_the_time_is_spent_on_it(
    store: Counting, idle: bool, free: int, share: int
) -> None:
    keeper = make(store)
    store.rows, store.takes, store.free = 1 << 30, 0.002, free
    began = store.mono
    for _ in range(20_000):
        store.mono += 0.0001
        if not idle:
            keeper.touch(store.mono)
        step(store, keeper)
    spent = len(store.limits) * store.takes
    assert spent == pytest.approx((store.mono - began) / share, rel=0.15)


def test_backups_go_on_side_by_side_and_report(store: Any) -> None:
    backups = Backups(store)
    backups.start(Backup(PEER, 1, Path("good")))
    backups.start(Backup(PEER, 2, Path("bad")))
    assert backups
    assert backups.step() == []
    assert backups.step() == [
        BackedUp(PEER, 2, 10, str(StoreFailed(reason="no space on the target")))
    ]
    assert backups.step() == [BackedUp(PEER, 1, 20, None)]
    assert not backups
