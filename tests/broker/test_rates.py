"""How fast one may send: a burst that is saved up, and then so many a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.rates import BURST_S
from ipcbus.broker.settings import Settings
from tests.broker.harness import Harness, draft

RATE = 4
FULL = RATE * BURST_S


@pytest.fixture
def bus() -> Iterator[Harness]:
    bus = Harness(Settings(rate=RATE))
    bus.join_up("alice", "bob", "carol")
    yield bus
    bus.close()


def _accepted(bus: Harness, count: int, sender: bytes = b"alice") -> int:
    """How many of so many are accepted; the others meet the rate."""
    drafts = [draft(f"m{bus.ref()}", "bob") for _ in range(count)]
    refused = bus.send(sender, *drafts)
    assert {(code, facts["bound"]) for _, code, facts in refused} <= {
        ("bound_exceeded", "rate")
    }
    return count - len(refused)


def test_who_was_silent_may_send_a_burst_and_not_one_more(bus: Harness) -> None:
    assert _accepted(bus, FULL + 1) == FULL


@pytest.mark.parametrize(("seconds", "more"), [(0.24, 0), (0.25, 1), (1, 4), (2, 8)])
def test_after_a_burst_so_many_a_second(
    bus: Harness, seconds: float, more: int
) -> None:
    assert _accepted(bus, FULL) == FULL
    bus.advance(seconds)
    assert _accepted(bus, FULL) == more


def test_to_ask_too_often_does_not_make_it_slower(bus: Harness) -> None:
    _accepted(bus, FULL)
    found = 0
    for _ in range(16):
        bus.advance(0.125)
        found += _accepted(bus, 1)
    assert found == 2 * RATE


def test_no_more_than_a_burst_is_ever_saved_up(bus: Harness) -> None:
    _accepted(bus, 1)
    for _ in range(3 * BURST_S):
        bus.advance(1)
        bus.ping(b"alice")
    assert _accepted(bus, 2 * FULL) == FULL


def test_each_has_a_rate_of_its_own(bus: Harness) -> None:
    assert _accepted(bus, FULL) == FULL
    assert _accepted(bus, FULL, b"carol") == FULL


def test_what_is_sent_again_is_no_second_message(bus: Harness) -> None:
    drafts = [draft(f"again{n}", "bob") for n in range(FULL)]
    assert bus.send(b"alice", *drafts) == []
    bus.advance(5)
    for _ in range(5):
        assert len(bus.send(b"alice", *drafts[: 5 * RATE])) == 5 * RATE
    assert _accepted(bus, FULL) == 5 * RATE
