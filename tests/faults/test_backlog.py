"""A mailbox with very many messages costs neither memory nor its order."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import ipcbus
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.faults.crew import kill_broker, restart, rss_bytes, status
from tests.waiting import until

MIB = 1024 * 1024
GROWTH = 64 * MIB
BODY = b"b" * 256
WARM_UP = 5_000
LOOK_EVERY = 5_000

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(100)
def test_a_mailbox_of_50_000_messages(
    network: Network, show: Callable[[str], None]
) -> None:
    _backlog(network, 50_000, show)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_mailbox_of_1_000_000_messages(
    network: Network, show: Callable[[str], None]
) -> None:
    _backlog(network, 1_000_000, show)


def _backlog(network: Network, count: int, show: Callable[[str], None]) -> None:
    info = launch.start(network)
    ipcbus.connect("dev", agent="bob").close()
    ipcbus.connect("dev", agent="other").close()
    with ipcbus.connect("dev", agent="alice") as alice:
        _fill(alice, "other", WARM_UP, info.pid)
        before = rss_bytes(info.pid)
        took, most = _fill(alice, "bob", count, info.pid)
    show(f"{count} messages: {count / took:,.0f}/s, broker +{_mib(most - before)} MiB")
    assert most - before < GROWTH
    _starts_small(network, count, before, show)
    _is_in_order(2_000, show)
    left = status(network)["mailboxes"]["bob"]
    assert left["waiting"] + left["leased"] == count - 2_000


def _fill(client: ipcbus.Client, to: str, count: int, pid: int) -> tuple[float, int]:
    """Seconds that it took, and the broker's highest memory on the way."""
    began, most = time.monotonic(), 0
    for number in range(count):
        client.submit(to, BODY, id=f"{to}-{number}")
        if number % LOOK_EVERY == 0:
            most = max(most, rss_bytes(pid))
    client.flush(60)
    return time.monotonic() - began, max(most, rss_bytes(pid))


def _starts_small(
    network: Network, count: int, before: int, show: Callable[[str], None]
) -> None:
    """After a clean stop and after kill -9, with all that waited."""
    began = time.monotonic()
    restart(network)
    clean = time.monotonic() - began
    gone = kill_broker(network)
    began = time.monotonic()
    until(lambda: not gone.is_alive(), "the broker is dead")
    info = launch.start(network, wait_s=60)
    killed = time.monotonic() - began
    grown = rss_bytes(info.pid) - before
    show(
        f"restart {clean:.2f} s, start after kill -9 {killed:.2f} s, +{_mib(grown)} MiB"
    )
    assert grown < GROWTH
    assert status(network)["mailboxes"]["bob"]["waiting"] == count


def _is_in_order(count: int, show: Callable[[str], None]) -> None:
    times = []
    with ipcbus.connect("dev", agent="bob") as bob:
        for number in range(count // 2):
            at = time.monotonic()
            (message,), _ = bob.fetch(1, timeout=30)
            message.ack().result(30)
            times.append(time.monotonic() - at)
            assert message.id == f"bob-{number}"
        for number in range(count // 2, count):
            (message,) = bob.receive(timeout=30)
            message.ack()
            assert message.id == f"bob-{number}"
        bob.flush()
    times.sort()
    p50, p99 = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
    show(f"lease and ack of one: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _mib(size: int) -> int:
    return round(size / MIB)
