"""5,000 connections that never say a word, as a port scan or a broken peer makes them:
whoever comes meanwhile gets in, and the broker has its descriptors back."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.workers import cpu_s
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol import limits
from ipcbus.protocol.limits import MIB
from tests.transport.members import members
from tests.transport.test_hostile import lets_in, resident, serves
from tests.waiting import until

CROWD = 5_000
GUESTS = 5
BACK_S = limits.HANDSHAKE_MS / 1000 + 1.0
"""For the broker to have closed them all."""

pytestmark = pytest.mark.security


@contextlib.contextmanager
def enough_descriptors(say: Callable[[str], None]) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CROWD
    if hard != resource.RLIM_INFINITY and hard < wanted:
        say(f"{wanted} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def crowd(port: int, stack: contextlib.ExitStack) -> None:
    """All of them at once; returns when the last is connected."""
    chosen = stack.enter_context(selectors.DefaultSelector())
    for _ in range(CROWD):
        made = stack.enter_context(socket.socket())
        made.setblocking(False)
        made.connect_ex(("127.0.0.1", port))
        chosen.register(made, selectors.EVENT_WRITE)

    def all_in() -> bool:
        for key, _ in chosen.select(0):
            connection: socket.socket = key.fileobj  # type: ignore[assignment]
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            chosen.unregister(connection)
        return not chosen.get_map()

    until(all_in, "all are connected")


@pytest.mark.timeout(120)
def test_5_000_idle_connections_keep_nobody_out_and_are_let_go(
    network: Network,
    broker: BrokerInfo,
    missing_part: Callable[[str], None],
    show: Callable[[str], None],
) -> None:
    pid, port = broker.pid, int(broker.endpoint.rpartition(":")[2])
    with enough_descriptors(missing_part), members(network, broker) as people:
        lets_in(people)
        usual, memory, used = open_descriptors(pid), resident(people), cpu_s(pid)
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            crowd(port, stack)
            most = open_descriptors(pid)
            took = [lets_in(people) for _ in range(GUESTS)]
            most = max(most, open_descriptors(pid))
            more = resident(people) - memory
            until(
                lambda: open_descriptors(pid) <= usual + GUESTS,
                "its descriptors are back",
                5 * BACK_S,
            )
            back = time.monotonic() - began
        share = 100 * (cpu_s(pid) - used) / back
        serves(people)
    show(
        f"{most:,} descriptors of the broker, +{more / MIB:.0f} MiB, "
        f"{share:.0f} % of a processor; a new client got in after "
        f"{statistics.median(took) * 1000:.0f} ms (longest {max(took) * 1000:.0f}); "
        f"all closed after {back:.1f} s"
    )
    assert statistics.median(took) < 1.0
    assert more < 64 * MIB
