"""A broker in memory fails as a real one does, and is followed by another."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.errors import Disconnected, InvalidMessage, StoreFailed
from ipcbus.testing import FakeClock, FakeDisk, Fault, MemoryBroker, MemoryLink
from ipcbus.testing.broker import BEFORE_COMMIT


class Town:
    """A broker on a disk, and a client of it that is connected."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.disk = FakeDisk()
        self.bus = MemoryBroker(self.clock, store=self.disk)
        self.alice = MemoryLink(self.bus, "alice")
        self.bus.settle_down()

    def send(self, body: str = "x") -> Any:
        """A message to herself, on its way to its broker and decided about there."""
        sending = self.alice.submit("alice", body)
        self.alice.step()
        return sending

    def bodies(self) -> list[Any]:
        """All that waits for alice."""
        fetch = self.alice.fetch(100)
        self.bus.settle_down()
        return [message.body for message in fetch.result(0)[0]]


@pytest.fixture
def town() -> Town:
    return Town()


def test_a_killed_broker_serves_nobody_until_another_takes_over(town: Town) -> None:
    town.bus.kill()
    sending = town.send()
    assert (town.bus.alive, town.alice.peer, sending.done()) == (False, None, False)
    assert town.bus.turn() == []
    town.bus.takeover()
    town.bus.settle_down()
    assert sending.result(0).state == "accepted"


def test_one_that_dies_before_its_commit_has_done_nothing(town: Town) -> None:
    town.bus.dies_after = BEFORE_COMMIT
    sending = town.send()
    assert (town.bus.alive, town.disk.waiting(), sending.done()) == (False, 0, False)


def test_one_that_dies_behind_its_commit_has_said_no_more_than_so_much(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[Any] = []
    monkeypatch.setattr(town.bus, "_put", put.append)
    town.alice.submit("alice", "x")
    town.alice.call("whoami")
    town.alice.speak()
    town.bus.dies_after = 1
    town.alice.arrive(10)
    assert len(put) == 1
    assert not town.bus.alive
    assert town.disk.waiting() == 1


def test_what_was_committed_and_not_said_is_known_when_it_is_sent_again(
    town: Town,
) -> None:
    town.bus.dies_after = 0
    sending = town.send("once")
    town.bus.takeover()
    town.bus.settle_down()
    assert sending.result(0).again
    assert town.bodies() == ["once"]


@pytest.mark.parametrize("fault", Fault)
def test_after_an_io_error_it_has_stopped_and_answered_nobody(
    town: Town, fault: Fault
) -> None:
    town.disk.fail(fault)
    sending = town.send()
    assert not town.bus.alive
    assert isinstance(town.bus.died, StoreFailed)
    assert (town.alice.peer, sending.done()) == (None, False)


def test_without_room_in_a_turn_it_starts_over_and_says_so(town: Town) -> None:
    epoch = town.bus.core.epoch
    town.disk.run_out()
    sending = town.send()
    assert town.bus.core.epoch == epoch + 1
    assert isinstance(town.alice.lost, Disconnected)
    town.bus.settle_down()
    assert sending.result(0).state == "accepted"
    assert town.bodies() == ["x"]


def test_a_second_time_within_a_minute_it_stops(town: Town) -> None:
    for _ in range(2):
        town.disk.run_out()
        town.send()
        town.alice.step()
    assert not town.bus.alive
    assert isinstance(town.bus.died, StoreFailed)


def test_a_second_time_after_a_minute_it_starts_over_again(town: Town) -> None:
    town.disk.run_out()
    town.send()
    town.clock.advance(61)
    town.bus.settle_down()
    town.disk.run_out()
    town.send()
    assert town.bus.alive


def test_one_that_was_taken_over_stops_at_its_next_write(town: Town) -> None:
    town.disk.usurp()
    sending = town.send()
    assert (town.bus.alive, sending.done()) == (False, False)


def test_the_operator_asks_and_is_told(town: Town) -> None:
    assert town.bus.operate("status")["network"] == "dev"
    with pytest.raises(InvalidMessage):
        town.bus.operate("register")
    town.bus.kill()
    with pytest.raises(Disconnected):
        town.bus.operate("status")


def test_it_counts_what_it_and_its_clients_have_handled(town: Town) -> None:
    before = town.bus.events
    town.bus.turn()
    assert town.bus.events == before + 1
    town.send()
    assert town.bus.events == before + 3, "a SEND, and its answer"
