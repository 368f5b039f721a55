"""The test kit that is shipped."""

from __future__ import annotations

import pytest

from ipcbus.errors import NotPermitted, UnknownRecipient
from ipcbus.testing import FakeClock, MemoryBroker, MemoryLink


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_the_example_of_its_docstring(clock: FakeClock) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bob = MemoryLink(bus, "bob")
    sending = alice.submit("bob", "hello")
    bob.read()
    bus.settle_down()
    assert sending.done()
    assert bob.take()[0].body == "hello"


def test_nothing_moves_until_it_is_let_through(clock: FakeClock) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bus.settle_down()
    sending = alice.submit("alice", "x")
    assert (alice.speak(), len(alice.up), len(alice.down)) == (1, 1, 0)
    assert (alice.arrive(), len(alice.up), len(alice.down)) == (1, 0, 1)
    assert not sending.done()
    assert alice.hear()
    assert sending.done()
    assert not alice.hear()


def test_a_cut_drops_what_is_under_way_and_the_client_repeats_it(
    clock: FakeClock,
) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bus.settle_down()
    lost, known = alice.submit("alice", "1"), alice.submit("alice", "2")
    alice.speak()
    alice.cut()
    assert not lost.done()
    bus.settle_down()
    assert known.result(0).state == "accepted"


def test_time_passes_when_it_is_told_to(clock: FakeClock) -> None:
    before = clock.now()
    clock.advance(1.5)
    after = clock.now()
    assert (after.mono - before.mono, after.wall - before.wall) == (1.5, 1500)


def test_refusals_come_through(clock: FakeClock) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    unknown, forbidden = alice.submit("nobody"), alice.call("shutdown")
    bus.settle_down()
    with pytest.raises(UnknownRecipient):
        unknown.result(0)
    with pytest.raises(NotPermitted):
        forbidden.result(0)


def test_leases_run_out_by_the_fake_clock(clock: FakeClock) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    alice.submit("alice", "x")
    bus.settle_down()
    fetch = alice.fetch(1, lease_ms=1000)
    bus.settle_down()
    assert fetch.result(0)[0][0].attempt == 1
    clock.advance(2)
    bus.turn()
    again = alice.fetch(1)
    bus.settle_down()
    assert again.result(0)[0][0].attempt == 2
