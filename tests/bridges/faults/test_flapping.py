"""A line that comes and goes all the time, or a network that stays away: a bridge goes
on trying, and costs little while it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus.client.invitations import invite, join_network
from ipcbus_bridges.link import CREDIT_BYTES
from tests.bridges.faults.neighbours import Pair, Traffic, ends_well, pair
from tests.bridges.proxy import Proxy, proxy
from tests.bridges.town import (
    DEV,
    PROD,
    THERE,
    Bridge,
    Home,
    bridge,
    frozen,
    new_home,
    passes,
)
from tests.faults.crew import serving

FLAP_S = 0.2
MOST_OF_A_CPU = 0.5
"""What a bridge may use that can do nothing but try: one that spins uses all of it."""

pytestmark = pytest.mark.chaos


class Line(NamedTuple):
    near: Home
    far: Home
    proxy: Proxy
    bridge: Bridge
    people: Pair


@pytest.fixture
def line(tmp_path: Path, _nothing_is_left_behind: None) -> Iterator[Line]:
    """dev is where the bridge runs; prod is behind the proxy."""
    with new_home() as near, new_home() as far:
        near.start(near.network(DEV))
        prod = far.network(PROD)
        far.start(prod)
        with proxy(serving(prod).endpoint) as between:
            with far.inside(), ipcbus.connect(PROD, agent="") as owner:
                invitation = invite(owner, f"@{DEV}", endpoint=between.endpoint)
            with near.inside():
                join_network(invitation)
            with bridge(near, tmp_path) as spans, pair(near, far) as people:
                spans.runs()
                yield Line(near, far, between, spans, people)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Bytes that it has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_a_line_that_breaks_every_200_ms_neither_stops_nor_heats_a_bridge(
    line: Line, show: Callable[[str], None]
) -> None:
    _flap(line, 8, show)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nor_does_it_for_a_minute(line: Line, show: Callable[[str], None]) -> None:
    _flap(line, 60, show)


def _flap(line: Line, seconds: float, show: Callable[[str], None]) -> None:
    """Now it is cut and whole again at once, now it is away until the next time."""
    with Traffic(line.people) as traffic:
        traffic.advance(20)
        began, used = time.monotonic(), cpu_s(line.bridge.pid)
        times = 0
        while time.monotonic() < began + seconds:
            line.proxy.cut(refuse=times % 2 == 0)
            passes(FLAP_S)
            line.proxy.heal()
            times += 1
        took, used = time.monotonic() - began, cpu_s(line.bridge.pid) - used
        healed = time.monotonic()
        traffic.advance(20)
        after = time.monotonic() - healed
        traffic.stop()
    assert line.bridge.process.poll() is None
    assert used / took < MOST_OF_A_CPU
    ends_well(line.people, (line.near, DEV), (line.far, PROD))
    line.bridge.runs()
    show(
        f"cut {times} times in {took:.0f} s: {used / took:.0%} of a processor while it "
        f"was so, mail {after:.1f} s after the last time"
    )


@pytest.mark.slow
def test_a_bridge_whose_destination_stays_away_uses_next_to_nothing(
    line: Line, show: Callable[[str], None]
) -> None:
    """Mail waits for it meanwhile, more than a bridge may hold, and goes then."""
    line.people.submit(1)
    line.people.meet()
    line.proxy.cut()
    line.bridge.says(THERE, "backoff")
    pid = line.bridge.pid
    began, used, had = time.monotonic(), cpu_s(pid), memory(pid)
    line.people.alice.submit(3000, b"x" * 8000)
    assert len(line.people.alice.accepted()) == 3001
    passes(5)
    share = (cpu_s(pid) - used) / (time.monotonic() - began)
    grown = memory(pid) - had
    line.proxy.heal()
    line.bridge.runs()
    ends_well(line.people, (line.near, DEV), (line.far, PROD))
    show(
        f"away, with 24 MB waiting: {share:.0%} of a processor, {grown >> 20} MiB more"
    )
    assert share < MOST_OF_A_CPU
    assert grown < 16 << 20


@pytest.mark.parametrize(
    "seconds",
    [5, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(300)])],
)
def test_a_bridge_to_a_frozen_network_holds_no_more_than_its_credit(
    line: Line, seconds: int, show: Callable[[str], None]
) -> None:
    """The destination stops in the midst of it, and takes nothing more."""
    line.people.submit(1)
    line.people.meet()
    pid, most = line.bridge.pid, 0
    had = memory(pid)
    began, used = time.monotonic(), cpu_s(pid)
    with frozen(serving(line.far.network(PROD)).pid):
        line.people.alice.submit(3000, b"x" * 8000)
        while time.monotonic() < began + seconds:
            passes(0.1)
            most = max(most, memory(pid) - had)
        share = (cpu_s(pid) - used) / seconds
    ends_well(line.people, (line.near, DEV), (line.far, PROD))
    show(
        f"frozen for {seconds} s, 24 MB sent: {share:.0%} of a processor, "
        f"{most >> 20} MiB more at the most"
    )
    assert most < 4 * CREDIT_BYTES
