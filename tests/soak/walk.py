"""A soak from beginning to end: when to look, when to kill, when to check."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ipcbus.errors import IpcbusError
from tests.chaos.faults import lapse
from tests.soak.city import VICTIMS, City
from tests.soak.gauges import Probe, Sample

LEAST_KILLS: Final = 12
KILL_EVERY_S: Final = 600.0
CALM: Final = 1 / 3
"""Of the run, at its end: no kills, as what a process does in hours can only be seen
in one that lives so long."""

CHECK_EVERY_S: Final = 120.0
"""More would be held in memory than is worth it: each check wants all to rest for a
moment."""

LOOKS: Final = 600
FASTEST_S: Final = 1.0


class Plan(NamedTuple):
    """Seconds, and the moments of kills."""

    seconds: float
    kills: int
    look_every_s: float
    check_every_s: float = CHECK_EVERY_S


def planned(hours: float) -> Plan:
    seconds = hours * 3600
    kills = max(LEAST_KILLS, int(seconds * (1 - CALM) / KILL_EVERY_S))
    return Plan(seconds, kills, max(FASTEST_S, seconds / LOOKS))


class Outcome(NamedTuple):
    """`outages`: of each kill, who it was, when, and seconds until all got on."""

    plan: Plan
    samples: list[Sample]
    outages: list[tuple[str, float, float]]
    counts: Counter[str]
    checks: int
    broken: list[str]

    def as_json(self) -> dict[str, Any]:
        rows = [sample._asdict() for sample in self.samples]
        return {**self._asdict(), "plan": self.plan._asdict(), "samples": rows}


def walk(
    city: City, plan: Plan, chance: random.Random, say: Callable[[str], None]
) -> Outcome:
    """Not to get well again, after a kill or when all should rest, is a broken promise
    too."""
    outcome = Outcome(plan, [], [], city.story.counts, 0, city.broken)
    try:
        _walk(city, outcome, moments(plan, chance), chance, say)
        city.check()
    except (AssertionError, IpcbusError) as error:
        city.broken.append(f"it did not get well: {error}")
    return outcome._replace(checks=city.checks)


def _walk(
    city: City,
    outcome: Outcome,
    kills: list[tuple[float, str]],
    chance: random.Random,
    say: Callable[[str], None],
) -> None:
    plan = outcome.plan
    probe, began = Probe(city), time.monotonic()
    look_at = check_at = began
    check_at += plan.check_every_s
    ends = began + plan.seconds
    while ((now := time.monotonic()) < ends or kills) and not city.broken:
        # On a machine that is too busy, looking comes last.
        if kills and now >= began + kills[0][0]:
            _, victim = kills.pop(0)
            took = city.kill(victim, chance)
            outcome.outages.append((victim, now - began, took))
            say(f"{now - began:6.0f} s: kill -9 of the {victim}, {took:.2f} s")
        elif now >= check_at:
            city.check()
            check_at = time.monotonic() + plan.check_every_s
            say(f"{now - began:6.0f} s: {line(outcome)}")
        elif now >= look_at:
            outcome.samples.append(probe.sample())
            # What is counted in a moment is no rate: two looks are never closer.
            soonest = time.monotonic() + plan.look_every_s / 2
            look_at = max(look_at + plan.look_every_s, soonest)
        else:
            lapse(0.02)


def moments(plan: Plan, chance: random.Random) -> list[tuple[float, str]]:
    """Each in its share of the time, everybody equally often, in an order that chance
    gives."""
    each = plan.seconds * (1 - CALM) / max(1, plan.kills)
    victims: list[str] = []
    while len(victims) < plan.kills:
        round_ = list(VICTIMS)
        chance.shuffle(round_)
        victims += round_
    return [
        (each * (at + chance.uniform(0.2, 0.8)), victims[at])
        for at in range(plan.kills)
    ]


def line(outcome: Outcome) -> str:
    """How far it is."""
    count = outcome.counts
    last = outcome.samples[-1].values if outcome.samples else {}
    memory = " ".join(
        f"{name[4:]} {last[name]:.0f}" for name in last if name.startswith("rss")
    )
    return (
        f"{count['ok']:,} accepted, {count['delivered']:,} delivered, "
        f"{len(outcome.broken)} broken; MiB: {memory}"
    )
