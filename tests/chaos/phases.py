"""Phases: a fault for a while, then rest, then the history is checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from tests.chaos.faults import FAULTS, World
from tests.chaos.fleet import History, given_up
from tests.faults.crew import serving
from tests.faults.history import (
    OK,
    UNKNOWN,
    Got,
    Sent,
    accepted,
    longest_gap,
    violations,
)

STEPS = 10
"""Messages that each client gets on by before and after a fault."""


class Phase(NamedTuple):
    """What came of one fault.

    Attributes:
        outage_s: the longest time in which no send of anybody was accepted.
        again: deliveries that were repeated.
        given_up: dead letters; each has an end, and its sender was told.
        epochs: how often a broker took over, or started over by itself.
    """

    fault: str
    times: int
    accepted: int
    refused: int
    unknown: int
    again: int
    given_up: int
    epochs: int
    outage_s: float
    broken: list[str]


HEAD = (
    f"{'fault':<14}{'times':>6}{'accepted':>10}{'refused':>9}{'unknown':>9}"
    f"{'again':>7}{'dead':>6}{'epochs':>8}{'outage s':>10}{'broken':>8}"
)


def line(phase: Phase) -> str:
    return (
        f"{phase.fault:<14}{phase.times:>6}{phase.accepted:>10}{phase.refused:>9}"
        f"{phase.unknown:>9}{phase.again:>7}{phase.given_up:>6}"
        f"{phase.epochs:>8}{phase.outage_s:>10.2f}{len(phase.broken):>8}"
    )


def run(world: World, fault: str, times: int) -> Phase:
    """Do the fault so often, heal, let all come to rest, and check."""
    began = serving(world.network).epoch
    for _ in range(times):
        world.fleet.advance(STEPS, 60)
        FAULTS[fault](world)
    world.fleet.advance(STEPS, 60)
    history = world.fleet.rest()
    phase = checked(fault, times, history, given_up(world.network))
    world.fleet.go_on()
    return phase._replace(epochs=serving(world.network).epoch - began)


def checked(
    fault: str, times: int, history: History, dead: Collection[tuple[str, str]] = ()
) -> Phase:
    """The figures of a history, and what it must not contain."""
    sent = [_ended(one, dead) for one in history.sent]
    outcomes = Counter(one.outcome for one in history.sent)
    good = accepted(history.sent)
    return Phase(
        fault,
        times,
        accepted=len(good),
        refused=len(sent) - outcomes[OK] - outcomes[UNKNOWN],
        unknown=outcomes[UNKNOWN],
        again=sum(isinstance(one, Got) and one.attempt > 1 for one in history.seen),
        given_up=sum((one.to, one.id) in dead for one in history.sent),
        epochs=0,
        outage_s=longest_gap([one.at for one in good]),
        broken=violations(sent, history.seen),
    )


def _ended(one: Sent, dead: Collection[tuple[str, str]]) -> Sent:
    """A dead letter was accepted and need not have been read."""
    return one._replace(outcome=UNKNOWN) if (one.to, one.id) in dead else one


def schedule(world: World, faults: list[str], minutes: float) -> Iterator[Phase]:
    """All faults in turn, in an order that chance gives, until the time is over."""
    ends = time.monotonic() + 60 * minutes
    while time.monotonic() < ends:
        world.chance.shuffle(faults)
        for fault in faults:
            times = world.chance.randrange(1, 4)
            try:
                phase = run(world, fault, times)
            except AssertionError as error:
                raise AssertionError(f"{fault} x {times}: {error}") from error
            yield phase
            if time.monotonic() >= ends:
                return


def total(phases: list[Phase]) -> list[Phase]:
    """One row for each fault."""
    rows: list[Phase] = []
    for fault in FAULTS:
        each = [phase for phase in phases if phase.fault == fault]
        if each:
            rows.append(summed(fault, each))
    return rows


def summed(fault: str, each: list[Phase]) -> Phase:
    return Phase(
        fault,
        times=sum(one.times for one in each),
        accepted=sum(one.accepted for one in each),
        refused=sum(one.refused for one in each),
        unknown=sum(one.unknown for one in each),
        again=sum(one.again for one in each),
        given_up=sum(one.given_up for one in each),
        epochs=sum(one.epochs for one in each),
        outage_s=max(one.outage_s for one in each),
        broken=[text for one in each for text in one.broken],
    )
