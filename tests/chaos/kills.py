"""The kill record: the broker is killed again and again, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tests.chaos.faults import World, lapse, succeeded
from tests.chaos.fleet import given_up
from tests.chaos.phases import Phase, checked, summed
from tests.faults.crew import serving
from tests.faults.history import Sent, accepted, longest_gap

EACH = 25
"""Kills between two checks of the history."""

STEPS = 4


class Record(NamedTuple):
    """Takeovers: from kill to the next broker that can be connected to. Outages: of
    each sender at each kill, the longest time without an acceptance. Seconds."""

    phases: list[Phase]
    takeovers: list[float]
    outages: list[float]

    def lines(self) -> list[str]:
        all_ = summed("kill-broker", self.phases)
        doubled = sum("twice" in one or "after its ack" in one for one in all_.broken)
        lost = sum("never delivered" in one for one in all_.broken)
        return [
            f"{all_.times} kills: {all_.accepted} accepted, {lost} lost, {doubled} "
            f"doubled, {len(all_.broken) - lost - doubled} otherwise broken; "
            f"{all_.again} deliveries repeated, {all_.refused} refused, "
            f"{all_.unknown} unknown, {all_.given_up} dead letters",
            f"  takeover s: {_spread(self.takeovers)}",
            f"  outage of a sender s: {_spread(self.outages)}",
        ]


def kill(world: World, kills: int, found: Record) -> Iterator[Phase]:
    """Kill the broker so often; `found` grows. The history is checked now and then."""
    done = 0
    while done < kills:
        count = min(EACH, kills - done)
        moments = [_kill(world, found.takeovers) for _ in range(count)]
        world.fleet.advance(STEPS, 60)
        history = world.fleet.rest()
        phase = checked("kill-broker", count, history, given_up(world.network))
        found.phases.append(phase)
        found.outages.extend(outages(history.sent, moments))
        world.fleet.go_on()
        done += count
        yield phase


def _kill(world: World, takeovers: list[float]) -> float:
    """All get on a little, so that no message is shown too often; then kill -9."""
    world.fleet.advance(STEPS, 60)
    lapse(world.chance.uniform(0, 0.1))
    info = serving(world.network)
    at = time.monotonic()
    os.kill(info.pid, signal.SIGKILL)
    succeeded(world, info)
    takeovers.append(time.monotonic() - at)
    return at


def outages(sent: list[Sent], kills: list[float]) -> list[float]:
    """Of each sender at each kill, the longest time without an acceptance."""
    found = []
    ends = [*kills[1:], float("inf")]
    for name in sorted({one.sender for one in sent}):
        times = sorted(one.at for one in accepted(sent) if one.sender == name)
        for began, ended in zip(kills, ends, strict=True):
            first = max(0, bisect_left(times, began) - 1)
            found.append(longest_gap(times[first : bisect_right(times, ended)]))
    return found


def _spread(values: list[float]) -> str:
    ranked = sorted(values)
    p50, p99 = (ranked[int(len(ranked) * part)] for part in (0.5, 0.99))
    return f"p50 {p50:.2f}, p99 {p99:.2f}, longest {ranked[-1]:.2f}"
