"""A disk that fails loses exactly what it should."""

from __future__ import annotations

import pytest

from ipcbus.errors import Fenced, StoreFailed, StoreFull
from ipcbus.store.records import Agent
from ipcbus.testing import FakeClock, FakeDisk, Fault, MemoryBroker, MemoryLink
from ipcbus.testing.broker import BEFORE_COMMIT


def agent(number: int) -> Agent:
    return Agent(number, f"a{number}", 1, 0, 0, 0, 0)


def write(disk: FakeDisk, *numbers: int) -> None:
    """One transaction."""
    disk.begin()
    for number in numbers:
        disk.registry.put_agent(agent(number))
    disk.commit()


def there(disk: FakeDisk) -> list[int]:
    """What the next broker finds."""
    return [one.number for one in disk.open().agents]


@pytest.fixture
def disk() -> FakeDisk:
    disk = FakeDisk()
    disk.open()
    return disk


def test_a_power_cut_takes_the_transaction_that_is_open_and_no_other(
    disk: FakeDisk,
) -> None:
    write(disk, 1)
    write(disk, 2, 3)
    disk.begin()
    disk.registry.put_agent(agent(4))
    disk.power_cut()
    assert there(disk) == [1, 2, 3]
    assert disk.taken == 0


def test_one_that_does_not_sync_loses_all_since_it_last_did(disk: FakeDisk) -> None:
    write(disk, 1)
    disk.syncs = False
    write(disk, 2)
    write(disk, 1, 3)
    disk.power_cut()
    assert (there(disk), disk.taken) == ([1], 2)


def test_a_later_sync_keeps_what_came_before_it(disk: FakeDisk) -> None:
    disk.syncs = False
    write(disk, 1)
    disk.syncs = True
    write(disk, 2)
    disk.power_cut()
    assert there(disk) == [1, 2]


def test_a_process_that_dies_takes_nothing_that_was_committed(disk: FakeDisk) -> None:
    disk.syncs = False
    write(disk, 1)
    disk.begin()
    disk.registry.put_agent(agent(2))
    disk.close()
    assert there(disk) == [1]


@pytest.mark.parametrize(
    ("fault", "left"), [(Fault.WRITE, [1]), (Fault.COMMIT, [1]), (Fault.SYNC, [1, 2])]
)
def test_an_io_error_leaves_what_had_reached_the_disk(
    disk: FakeDisk, fault: Fault, left: list[int]
) -> None:
    write(disk, 1)
    disk.fail(fault)
    with pytest.raises(StoreFailed):
        write(disk, 2)
    assert disk.failed
    with pytest.raises(StoreFailed):
        disk.begin()
    assert there(disk) == left
    write(disk, 5)
    assert not disk.failed


def test_a_write_fails_at_its_number(disk: FakeDisk) -> None:
    disk.fail(Fault.WRITE, writes=3)
    write(disk, 1, 2)
    with pytest.raises(StoreFailed):
        write(disk, 3)
    assert there(disk) == [1, 2]


@pytest.mark.parametrize("fault", [Fault.COMMIT, Fault.SYNC])
def test_a_commit_of_nothing_does_not_fail(disk: FakeDisk, fault: Fault) -> None:
    disk.fail(fault)
    write(disk)
    with pytest.raises(StoreFailed):
        write(disk, 1)


def test_without_room_the_turn_is_void_and_the_disk_goes_on(disk: FakeDisk) -> None:
    disk.run_out(writes=2)
    with pytest.raises(StoreFull):
        write(disk, 1, 2)
    assert there(disk) == []
    write(disk, 3)
    assert there(disk) == [3]


def test_one_that_was_taken_over_can_write_nothing(disk: FakeDisk) -> None:
    write(disk, 1)
    disk.usurp()
    with pytest.raises(Fenced):
        write(disk, 2)
    assert there(disk) == [1]


def test_a_fence_that_is_skipped_is_found(
    disk: FakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_check_epoch", lambda: None)
    disk.usurp()
    with pytest.raises(AssertionError, match="a fenced one has written"):
        write(disk, 1)


def test_healed_it_fails_no_more(disk: FakeDisk) -> None:
    disk.fail(Fault.WRITE)
    disk.fill()
    disk.heal()
    write(disk, 1)
    assert disk.room() > 0


def test_a_full_disk_refuses_sends_and_takes_acks() -> None:
    disk = FakeDisk()
    bus = MemoryBroker(FakeClock(), store=disk)
    alice = MemoryLink(bus, "alice")
    alice.submit("alice", "x")
    bus.settle_down()
    fetch = alice.fetch(1)
    bus.settle_down()
    [message] = fetch.result(0)[0]

    disk.fill()
    assert disk.is_full
    refused, acked = alice.submit("alice", "y"), message.ack()
    bus.settle_down()
    acked.result(0)
    with pytest.raises(StoreFull):
        refused.result(0)
    assert (bus.alive, disk.waiting()) == (True, 0)

    disk.free()
    sending = alice.submit("alice", "z")
    bus.settle_down()
    assert sending.result(0).state == "accepted"


def test_it_knows_what_waits_for_the_next_broker() -> None:
    disk = FakeDisk()
    bus = MemoryBroker(FakeClock(), store=disk)
    alice = MemoryLink(bus, "alice")
    bus.settle_down()
    alice.submit("alice", "1")
    bus.settle_down()
    alice.submit("alice", "2")
    bus.dies_after = BEFORE_COMMIT
    alice.step()
    assert disk.waiting() == 1
