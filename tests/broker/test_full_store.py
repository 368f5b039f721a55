"""A store that is full: what is in it comes to its end all the same, and then there is
room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbus.protocol.limits import MIB
from ipcbus.protocol.messages import BOUNCE
from ipcbus.store.base import ID_MS, Store
from ipcbus.store.sqlite import SqliteStore
from tests.broker.harness import Harness, draft

ALICE, BOB = b"alice", b"bob"
TTL_MS = 60_000


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Harness]:
    """A broker whose store may have 2 MiB."""

    def make() -> Store:
        path, ballast = tmp_path / "bus.db", tmp_path / "ballast"
        return SqliteStore(path, network="dev", ballast=ballast, store_bytes=2 * MIB)

    def reopen(store: Store) -> Store:
        store.close()
        return make()

    harness = Harness(make=make, reopen=reopen)
    harness.join_up("alice", "bob")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def fill(bus: Harness, size: int, first: int = 0, **fields: int) -> int:
    """Send until it is refused; how many were accepted."""
    for n in range(0, 100_000, 50):
        ids = [f"m{first + n + at}" for at in range(50)]
        drafts = [draft(id_, "bob", **fields) for id_ in ids]
        said = bus.send(ALICE, *drafts, body="x" * size)
        if said:
            assert {row[1] for row in said} == {"store_full"}, said
            return n + 50 - len(said)
    raise AssertionError("it never was full")


def keep_house(bus: Harness) -> None:
    for _ in range(1000):
        bus.store.begin()
        more = bus.store.archive.maintain(bus.wall, ID_MS, 256)
        bus.store.commit()
        if not more:
            return


def read_bounces(bus: Harness) -> int:
    count = 0
    while mail := bus.fetch(ALICE, 100):
        assert {one.header.kind for one in mail} == {BOUNCE}
        assert bus.settle(ALICE, acks=[one.receipt for one in mail]) == []
        count += len(mail)
    return count


@pytest.mark.parametrize("size", [1500, 3000])
def test_what_expires_in_it_is_bounced_and_makes_room(bus: Harness, size: int) -> None:
    count = fill(bus, size, ttl_ms=TTL_MS)
    assert count > 100
    bus.advance(TTL_MS / 1000 + 1)
    bus.hello(ALICE)
    turns = bounces = 0
    while bounces < count:
        bus.advance(bus.broker.next_deadline(bus.now) or 0)
        bounces += read_bounces(bus)
        keep_house(bus)
        turns += 1
        assert turns < count, "it goes on and on"
    assert bounces == count
    assert not bus.store.mail.expired(bus.wall, 1)
    assert fill(bus, 3000, first=count) > 30


def test_a_sweep_without_room_is_tried_again_later_not_at_once(bus: Harness) -> None:
    fill(bus, 600, ttl_ms=TTL_MS)
    bus.advance(TTL_MS / 1000 + 1)
    for _ in range(100):
        if bus.broker.next_deadline(bus.now) != 0:
            break
        bus.turn()
    assert bus.store.mail.expired(bus.wall, 1), "there is more of it"
    due = bus.broker.next_deadline(bus.now)
    assert due is not None
    assert due >= 0.5
