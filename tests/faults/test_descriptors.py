"""No descriptors left: those who are connected go on, the log says why others do not
get in, and when the crowd has gone a new one does.

The broker may have some connections, and far more come than that, faster than it can
cut them: libzmq's accept fails, and nothing can be opened any more.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from ipcbus.transport.serve import SPARE_FILES
from tests.faults.crew import alive
from tests.waiting import until

pytestmark = pytest.mark.chaos

LIMIT = SPARE_FILES + 64
"""What the broker may open: its own, and 64 connections."""

CROWD = 3 * LIMIT
TRIPS = 200
TOLD = b"too many connections"


@pytest.fixture
def few(network: Network) -> Iterator[BrokerInfo]:
    """A broker of which the limit is hard: it cannot raise it."""
    serve = f"{sys.executable} -P -m ipcbus.transport.serve {network.name}"
    words = ["sh", "-c", f"ulimit -n {LIMIT} && exec {serve}"]
    child = launch.spawn(network, command=lambda network: words, detached=False)
    assert child.stdout is not None
    try:
        with child.stdout as pipe:
            assert select.select([pipe], [], [], 60)[0], "it starts"
            yield launch.said(network, pipe.readline())
    finally:
        child.terminate()
        child.wait(30)


def test_who_is_connected_goes_on_and_a_new_one_gets_in_afterwards(
    network: Network, few: BrokerInfo, show: Callable[[str], None]
) -> None:
    with (
        ipcbus.connect("dev", agent="alice", start=False) as alice,
        ipcbus.connect("dev", agent="bob", start=False) as bob,
    ):
        busy, began = processor_s(few.pid), time.monotonic()
        with crowd(few) as most:
            assert most == LIMIT, "it has no descriptor left"
            took = [trip(alice, bob) for _ in range(TRIPS)]
            until(lambda: TOLD in network.log.read_bytes(), "the log says so")
        used = (processor_s(few.pid) - busy) / (time.monotonic() - began)
        began = time.monotonic()
        ipcbus.connect("dev", agent="late", start=False, timeout=30).close()
        late = time.monotonic() - began
        assert {alice.epoch, bob.epoch} == {few.epoch}
        until(lambda: descriptors(few.pid) < LIMIT // 2, "they are let go")
    info = alive(network)
    assert info is not None
    assert info.pid == few.pid
    show(
        f"{CROWD} connections, {LIMIT} descriptors: {TRIPS} messages of others are "
        f"acked, {1000 * max(took):.0f} ms at the longest; a new one got in "
        f"{late:.2f} s after the crowd had gone; processor {100 * used:.0f} %"
    )


@contextlib.contextmanager
def crowd(broker: BrokerInfo) -> Iterator[int]:
    """Connections that never say anything; the most descriptors the broker has had."""
    address = ("127.0.0.1", int(broker.endpoint.rpartition(":")[2]))
    most = 0
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            made = stack.enter_context(socket.socket())
            made.setblocking(False)
            made.connect_ex(address)  # it is taken by the kernel, if not by the broker
            most = max(most, descriptors(broker.pid))
        deadline = time.monotonic() + 10
        while most < LIMIT and time.monotonic() < deadline:
            most = max(most, descriptors(broker.pid))
        yield most


def trip(alice: ipcbus.Client, bob: ipcbus.Client) -> float:
    """Seconds from a send to its confirmed ack."""
    began = time.monotonic()
    sent = alice.send("bob", "still there?", timeout=30)
    (message,) = bob.receive(timeout=30)
    assert message.id == sent.id
    message.ack().result(30)
    return time.monotonic() - began


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processor_s(pid: int) -> float:
    """Seconds of a processor that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
