"""kill -9 of the broker under load: what is promised outlives it."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.networks import Network
from tests.faults.crew import alive, crew, kill_broker
from tests.faults.history import OK, Acked, Got, Sent, accepted, longest_gap, violations
from tests.waiting import until

KILLS = 20
STEPS = 20
"""Messages that each client gets on by between two kills, and a random few more."""


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_nothing_accepted_is_lost_when_the_broker_is_killed_20_times(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    kills = []
    with crew(network, tmp_path) as clients:
        for _ in range(KILLS):
            clients.advance(STEPS + chance.randrange(100))
            killed = kill_broker(network)
            kills.append(time.monotonic())
            until(lambda k=killed: _successor(network, k.pid), "a takeover")  # type: ignore[misc]
        clients.advance(STEPS)
        sent = clients.stop_sending()
        seen = clients.stop_receiving()
    outages = _outages(sent, kills)
    acks = [one for one in seen if isinstance(one, Acked) and one.outcome == OK]
    again = sum(isinstance(one, Got) and one.attempt > 1 for one in seen)
    median, longest = statistics.median(outages), max(outages)
    show(
        f"{KILLS} kills: {len(accepted(sent))} accepted, {again} deliveries were "
        f"repeated, {len(acks)} acks told done"
    )
    show(f"a sender's outage: median {median:.2f} s, longest {longest:.2f} s")
    assert violations(sent, seen) == []
    assert {one.outcome for one in sent} == {OK}


def _successor(network: Network, pid: int) -> bool:
    info = alive(network)
    return info is not None and info.pid != pid


def _outages(sent: list[Sent], kills: list[float]) -> list[float]:
    """Of each sender at each kill: the longest time without an acceptance."""
    ends = [*kills[1:], kills[-1] + 60]
    found = []
    for name in sorted({one.sender for one in sent}):
        times = [one.at for one in sent if one.sender == name]
        for began, ended in zip(kills, ends, strict=True):
            found.append(
                longest_gap([at for at in times if began - 0.1 <= at <= ended])
            )
    return found
