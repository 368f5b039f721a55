"""A store that is full: what is in it comes to its end all the same, and then there is
room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbus.broker.ends import ROOM_MS
from ipcbus.broker.settings import Settings
from ipcbus.protocol.limits import BATCH_BYTES, MAX_BATCH, MAX_CREDIT, MIB
from ipcbus.protocol.messages import ACK, BOUNCE, FLAG_ACKED
from ipcbus.store.base import ID_MS, Store
from ipcbus.store.sqlite import SqliteStore
from tests.broker.harness import Harness, draft

ALICE, BOB = b"alice", b"bob"
TTL_MS = 60_000


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """A broker whose store may have 2 MiB."""
    settings = getattr(request, "param", Settings())

    def make() -> Store:
        path, ballast = tmp_path / "bus.db", tmp_path / "ballast"
        return SqliteStore(path, network="dev", ballast=ballast, store_bytes=2 * MIB)

    def reopen(store: Store) -> Store:
        store.close()
        return make()

    harness = Harness(settings, make=make, reopen=reopen)
    harness.join_up("alice", "bob")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def fill(bus: Harness, size: int, first: int = 0, **fields: int) -> int:
    """Send until it is refused; how many were accepted."""
    each = min(MAX_BATCH, BATCH_BYTES // size)
    for n in range(0, 100_000, each):
        ids = [f"m{first + n + at}" for at in range(each)]
        drafts = [draft(id_, "bob", **fields) for id_ in ids]
        said = bus.send(ALICE, *drafts, body="x" * size)
        if said:
            assert {row[1] for row in said} == {"store_full"}, said
            return n + each - len(said)
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
    while mail := bus.fetch(ALICE, MAX_CREDIT):
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


def test_acks_are_taken_although_there_is_no_room_for_all_receipts(
    bus: Harness,
) -> None:
    count = fill(bus, 40, flags=FLAG_ACKED)
    told = 0
    while mail := bus.fetch(BOB, MAX_CREDIT):
        assert bus.settle(BOB, acks=[one.receipt for one in mail]) == []
    unsaid = bus.counters()["unsaid"]
    while mail := bus.fetch(ALICE, MAX_CREDIT):
        assert {one.header.kind for one in mail} == {ACK}
        bus.settle(ALICE, acks=[one.receipt for one in mail])
        told += len(mail)
    assert bus.counters()["acked"] == count + told
    assert told + unsaid == count
    assert told
    assert unsaid


@pytest.mark.parametrize("bus", [Settings(max_attempts=1)], indirect=True)
def test_what_is_refused_too_often_dies_when_there_is_room_to_tell(
    bus: Harness,
) -> None:
    count = fill(bus, 1000)
    bounces = turns = 0
    while bounces < count:
        nacks = [[*one.receipt, 0, "no"] for one in bus.fetch(BOB, MAX_CREDIT)]
        assert bus.settle(BOB, nacks=nacks) == []
        dead = bus.counters()["dead"]
        assert turns or 0 < dead < count, "it had room: this shows nothing"
        bounces += read_bounces(bus)
        assert bounces == dead
        while bus.call(BOB, "drop", None) != [0]:
            pass
        keep_house(bus)
        bus.ping(ALICE, BOB)
        bus.advance(ROOM_MS / 1000)
        turns += 1
        assert turns < 30, "it goes on and on, or they stay with who refused them"
    assert "unsaid" not in bus.counters()
