"""A message without an end in a plain network, where a part of no bytes costs two bytes
on the line and 64 in ZeroMQ. With encryption it is 35, see `test_hostile.py`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.networks import Network
from ipcbus.protocol.limits import KIB, MIB
from tests.transport import zmtp
from tests.transport.members import Members
from tests.transport.zmtp_walk import served, serves

AT_MOST = 1536 * MIB
"""32 MiB unread (`limits.UNREAD_BYTES`) are 16 million such parts: 1 GiB, and what
comes until it is noticed."""


@pytest.mark.slow
@pytest.mark.security
def test_an_endless_message_in_a_plain_network_is_cut_too(
    network: Network, show: Callable[[str], None]
) -> None:
    with served(network, "plain") as people:
        before = highest(people)
        line = zmtp.Plain(int(people.broker.endpoint.rpartition(":")[2]), 20)
        line.enter(people.register("mallory").public)
        pouring = threading.Thread(target=pour, args=(line, zmtp.frame(b"", zmtp.MORE)))
        began = asked = time.monotonic()
        slowest = 0.0
        pouring.start()
        while pouring.is_alive():
            serves(people)
            slowest = max(slowest, time.monotonic() - asked)
            asked = time.monotonic()
            assert asked < began + 60, "it was not cut"
        pouring.join()
        line.close()
        took, grown = time.monotonic() - began, highest(people) - before
        assert b"no end of the message" in people.log()
    show(
        f"cut after {took:.1f} s, the broker +{grown / MIB:.0f} MiB, others answered "
        f"in {slowest:.2f} s"
    )
    assert grown < AT_MOST


def pour(line: zmtp.Plain, part: bytes) -> None:
    """Until it is cut."""
    with contextlib.suppress(zmtp.Closed):
        while True:
            line.say(part * 20_000)


def highest(people: Members) -> int:
    """The most memory that the broker ever had."""
    status = Path(f"/proc/{people.broker.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * KIB
