"""Clocks that are set and machines that sleep, under a real broker: what is due in some
seconds is due in as many, nothing expires that should not, and order stays.

The clock itself is tried in `tests/transport/test_clock.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.faults.clocked_broker import set_clocks
from tests.waiting import until

CLOCKED_BROKER = Path(__file__).with_name("clocked_broker.py")
DAY, HOUR = 86_400.0, 3_600.0
DUE_S = 2.0
EARLY_S, LATE_S = 0.1, 5.0
"""What a due time may be missed by; late on a machine that is busy with other tests."""

Show = Callable[[str], None]

pytestmark = pytest.mark.chaos


class Place(NamedTuple):
    """A network whose broker goes by clocks that `set` sets: seconds that the system
    clock is ahead, and that the machine has slept."""

    network: Network
    file: Path

    def set(self, *, ahead: float = 0.0, slept: float = 0.0) -> None:
        set_clocks(self.file, ahead, slept)

    def start(self) -> BrokerInfo:
        command = [sys.executable, str(CLOCKED_BROKER), str(self.file)]
        return launch.start(self.network, command=lambda n: [*command, n.name])


@pytest.fixture
def place(network: Network, tmp_path: Path) -> Iterator[Place]:
    made = Place(network, tmp_path / "clocks")
    made.set()
    made.start()
    yield made
    launch.stop(network)


@pytest.fixture
def alice(place: Place) -> Iterator[ipcbus.Client]:
    with ipcbus.connect("dev", agent="alice", start=False) as client:
        yield client


@pytest.fixture
def bob(place: Place) -> Iterator[ipcbus.Client]:
    with ipcbus.connect("dev", agent="bob", start=False) as client:
        yield client


def _bodies(found: list[ipcbus.Message]) -> list[str | bytes]:
    return [message.body for message in found]


def _due(begun: float, show: Show, what: str) -> None:
    took = time.monotonic() - begun
    show(f"{what}: due in {DUE_S:g} s, came after {took:.2f} s")
    assert DUE_S - EARLY_S <= took < DUE_S + LATE_S


JUMPS = pytest.mark.parametrize(
    ("ahead", "slept"),
    [(DAY, 0.0), (-DAY, 0.0), (0.0, HOUR)],
    ids=["a day ahead", "a day back", "an hour of sleep"],
)


@JUMPS
def test_a_lease_runs_out_when_it_should(
    place: Place,
    alice: ipcbus.Client,
    bob: ipcbus.Client,
    show: Show,
    ahead: float,
    slept: float,
) -> None:
    """Agent and broker sleep together, and so does the lease."""
    alice.send("bob", "x")
    (held,), _ = bob.fetch(lease=DUE_S)
    begun = time.monotonic()
    place.set(ahead=ahead, slept=slept)
    alice.send("alice", "the broker has looked at its clock")
    with ipcbus.connect("dev", agent="bob", start=False) as other:
        (again,), _ = other.fetch(timeout=20)
        _due(begun, show, "a lease")
        assert (held.attempt, again.attempt) == (1, 2)


@pytest.mark.parametrize("ahead", [DAY, -DAY], ids=["a day ahead", "a day back"])
def test_a_ttl_and_a_delay_end_when_they_should(
    place: Place, alice: ipcbus.Client, bob: ipcbus.Client, show: Show, ahead: float
) -> None:
    alice.send("bob", "soon over", ttl=DUE_S)
    begun = time.monotonic()
    place.set(ahead=ahead)
    alice.send("bob", "over in an hour", ttl=HOUR)
    (bounce,) = alice.receive(10, timeout=20)
    _due(begun, show, "a ttl")
    assert (bounce.kind, bounce.data["code"]) == ("bounce", "expired")

    (message,), waiting = bob.fetch(10)
    assert (message.body, waiting) == ("over in an hour", 0)
    message.nack(delay=DUE_S).result(10)
    begun = time.monotonic()
    place.set(ahead=-ahead)
    (again,), _ = bob.fetch(timeout=20)
    _due(begun, show, "a delay")
    assert again.body == message.body


def test_what_expires_while_the_machine_sleeps_is_not_delivered(
    place: Place, alice: ipcbus.Client, bob: ipcbus.Client
) -> None:
    """The time of a ttl is that of the world."""
    alice.send("bob", "over in half an hour", ttl=HOUR / 2)
    alice.send("bob", "over in two", ttl=2 * HOUR)
    alice.send("bob", "never over")
    place.set(slept=HOUR)
    assert _bodies(bob.fetch(10)[0]) == ["over in two", "never over"]
    (bounce,) = alice.receive(10, timeout=20)
    assert bounce.data["code"] == "expired"


def test_order_and_times_are_as_sent_through_any_number_of_jumps(
    place: Place, alice: ipcbus.Client, bob: ipcbus.Client
) -> None:
    wanted = []
    for number, ahead in enumerate((0.0, DAY, -DAY, 30.0, -30.0, 0.3, -0.3)):
        place.set(ahead=ahead)
        for part in "ab":
            wanted.append(f"{number}{part}")
            alice.send("bob", wanted[-1])
    found, _ = bob.fetch(100)
    assert _bodies(found) == wanted
    times = [message.accepted_at for message in found]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60_000, "no jump is among them"


def test_a_broker_that_starts_with_a_clock_behind_goes_on_from_what_was(
    place: Place, network: Network, alice: ipcbus.Client, bob: ipcbus.Client
) -> None:
    alice.send("bob", "before", ttl=HOUR)
    launch.stop(network)
    place.set(ahead=-DAY)
    place.start()
    alice.send("bob", "after", ttl=HOUR, timeout=30)
    found, _ = bob.fetch(10)
    assert _bodies(found) == ["before", "after"]
    assert found[0].accepted_at <= found[1].accepted_at


def test_one_that_starts_a_day_later_takes_it_for_a_day(
    place: Place, network: Network, alice: ipcbus.Client, bob: ipcbus.Client
) -> None:
    """While nobody serves, the system clock alone tells what has passed."""
    alice.send("bob", "over in an hour", ttl=HOUR)
    alice.send("bob", "never over")
    launch.stop(network)
    place.set(ahead=DAY)
    place.start()
    until(lambda: bob.connected, "it has found the next one")
    assert _bodies(bob.fetch(10)[0]) == ["never over"]
    (bounce,) = alice.receive(10, timeout=20)
    assert bounce.data["code"] == "expired"


def test_an_age_is_not_changed_by_a_clock_that_is_set(
    alice: ipcbus.Client, bob: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the reader's machine, that is."""
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=10)
    real = time.time
    for jump in (DAY, -DAY):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        assert 0 <= message.age_s < 60
    monkeypatch.undo()
