"""Receipts that are stale, or late: told apart at a price that hardly grows."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.protocol.limits import MAX_CREDIT
from tests.broker.harness import Harness, draft

ALICE, BOB = b"alice", b"bob"


class Counted:
    """A store's mail that counts what is read of it, by the name of the question."""

    def __init__(self, mail: Any) -> None:
        self._mail = mail
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        self.count += name in ("get", "page", "entries_of", "find")
        return getattr(self._mail, name)


def _counted(bus: Harness, monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted(bus.store.mail)
    monkeypatch.setattr(bus.broker._delivery, "_mail", counted)
    return counted


@pytest.fixture
def pair(bus: Harness) -> Harness:
    bus.join_up("alice", "bob")
    return bus


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_frame_of_stale_acks_costs_a_few_looks(
    pair: Harness, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    for n in range(waiting):
        pair.send(ALICE, draft(f"m{n}", "bob", priority=n))
    counted = _counted(pair, monkeypatch)
    acks = [(seq, 1) for seq in range(1, 2 * MAX_CREDIT, 2)]
    assert pair.settle(BOB, acks=acks) == [seq for seq, _ in acks]
    assert counted.count < 30
    assert len(pair.fetch(BOB)) == waiting


def test_late_acks_among_stale_ones_are_found_in_every_rank(pair: Harness) -> None:
    for n in range(40):
        pair.send(ALICE, draft(f"m{n}", "bob", priority=n % 10))
    mail = pair.fetch(BOB)
    receipts = sorted(one.receipt for one in mail)
    pair.restart()
    pair.hello(BOB)
    wrong = [(seq, attempt + 1) for seq, attempt in receipts[::3]]
    right = receipts[::2]
    stale = pair.settle(BOB, acks=[*right, *wrong, (10_000, 1)])
    assert sorted(stale) == sorted([*(seq for seq, _ in wrong), 10_000])
    assert sorted(one[0] for one in pair.fetch(BOB)) == [
        seq for seq, _ in receipts if (seq, 1) not in right
    ]
    assert pair.counters()["acked"] == len(right)


@pytest.mark.parametrize("priorities", [(7, 8, 9), (9, 8, 7), (8, 9, 9)])
def test_late_acks_of_all_that_there_is_are_found(
    pair: Harness, priorities: tuple[int, ...]
) -> None:
    for n in range(9):
        pair.send(ALICE, draft(f"m{n}", "bob", priority=priorities[n % 3]))
    receipts = [one.receipt for one in pair.fetch(BOB)]
    pair.restart()
    pair.hello(BOB)
    assert pair.settle(BOB, acks=receipts) == []
    assert pair.counters()["acked"] == 9


def test_what_was_never_leased_is_not_acked_by_a_guess(pair: Harness) -> None:
    pair.send(ALICE, draft("m1", "bob"))
    assert pair.settle(BOB, acks=[(1, 1), (2, 1), (3, 1)]) == [1, 2, 3]
    assert len(pair.fetch(BOB)) == 1
