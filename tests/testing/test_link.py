"""A bus in one thread: what it does is what its test lets through."""

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


def test_two_clients_of_one_name_have_connections_of_their_own(
    clock: FakeClock,
) -> None:
    bus = MemoryBroker(clock)
    first = MemoryLink(bus, "alice")
    epoch = bus.core.epoch
    second = MemoryLink(bus, "alice", ids=lambda: "mine")
    bus.settle_down()
    assert bus.core.epoch == epoch, "a name that is known costs no takeover"
    assert first.peer != second.peer
    sending = second.submit("alice", "x")
    bus.settle_down()
    assert sending.result(0).id == "mine"


def test_a_client_that_is_closed_is_heard_of_no_more(clock: FakeClock) -> None:
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bus.settle_down()
    alice.close()
    assert bus.links == []
    assert bus.core.peers() == []
