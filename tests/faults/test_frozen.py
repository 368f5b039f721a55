"""Processes that are frozen (SIGSTOP) and wake up again: receivers and brokers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ipcbus
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.faults.crew import Member, crew, rss_bytes, serving
from tests.faults.history import OK, Got, accepted, longest_gap, violations
from tests.waiting import until

MIB = 1024 * 1024
BODY = b"b" * 16 * 1024
TO_FROZEN = 12_000
"""Messages of 16 KiB: 188 MiB, three times what a session may be owed."""
GROWTH = 128 * MIB

pytestmark = pytest.mark.chaos


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_a_frozen_receiver_neither_slows_the_others_nor_fills_the_broker(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    info = launch.start(network)
    sleeper = Member("receive", "dev", "sleeper", (), tmp_path)
    try:
        until(lambda: sleeper.progress == 0, "it is connected")
        with (
            ipcbus.connect("dev", agent="alice") as alice,
            ipcbus.connect("dev", agent="bob") as bob,
        ):
            trips = [_round_trip(alice, bob, n) for n in range(200)]
            before = rss_bytes(info.pid)
            with frozen(sleeper.process.pid):
                most, late = _flood(alice, bob, info.pid)
            until(lambda: sleeper.progress >= TO_FROZEN, "all of it arrives", 90)
        sleeper.end()
        got = [one for one in sleeper.seen() if isinstance(one, Got)]
    finally:
        sleeper.process.kill()
        sleeper.process.wait()
    show(f"a frozen receiver: broker +{(most - before) / MIB:.0f} MiB")
    show(f"round trip of others p99 {_p99(trips):.1f} ms before, {_p99(late):.1f} ms")
    assert most - before < GROWTH
    order = list(dict.fromkeys(one.id for one in got))
    assert order == [f"z{n}" for n in range(TO_FROZEN)], "each came, in order"


def _flood(
    alice: ipcbus.Client, bob: ipcbus.Client, pid: int
) -> tuple[int, list[float]]:
    """Send to the sleeper; the broker's highest memory, and how bob fared."""
    most, trips = 0, []
    for number in range(TO_FROZEN):
        alice.submit("sleeper", BODY, id=f"z{number}")
        if number % 200 == 0:
            alice.flush(60)
            trips.append(_round_trip(alice, bob, 1000 + number))
            most = max(most, rss_bytes(pid))
    alice.flush(60)
    return max(most, rss_bytes(pid)), trips


def _round_trip(alice: ipcbus.Client, bob: ipcbus.Client, number: int) -> float:
    """Milliseconds from send to the receiver's hands."""
    at = time.monotonic()
    alice.send("bob", str(number))
    (message,) = bob.receive(timeout=30)
    assert message.body == str(number)
    took = time.monotonic() - at
    message.ack()
    return took * 1000


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


@pytest.mark.timeout(120)
def test_clients_outlive_a_frozen_broker_and_nothing_is_lost_or_doubled(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    with crew(network, tmp_path, senders=2, receivers=2) as clients:
        clients.advance(50)
        info = serving(network)
        with ipcbus.connect("dev", agent="watcher") as watcher:
            with frozen(info.pid):
                until(lambda: not watcher.connected, "missed pings are noticed")
            clients.advance(50)
            assert watcher.send("r0", "I am back", id="back").id == "back"
            assert watcher.epoch == info.epoch, "nobody took over from a live broker"
        sent = clients.stop_sending()
        seen = clients.stop_receiving()
    gap = longest_gap([one.at for one in sent])
    show(f"a frozen broker: {len(accepted(sent))} accepted, longest gap {gap:.1f} s")
    seen = [one for one in seen if one.id != "back"]
    assert violations(sent, seen) == []
    assert {one.outcome for one in sent} == {OK}
