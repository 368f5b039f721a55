"""The time of a broker: one that does not jump.

`Now.mono` is the monotonic clock, for deadlines inside this process. `Now.wall` is
what is stored and shown: UTC milliseconds, anchored once at the start and carried on
by a clock that nobody can set. So a jump of the system clock (a battery that ran
flat, an administrator, a virtual machine that was moved) makes no message expire and
turns no order round. Slow drift, as NTP corrects it, is followed.

It never runs behind what the store has seen: after a start with a clock that is
behind, it stands at the last time written and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ipcbus.broker.events import Now

DRIFT_S: Final = 10.0
"""Seconds between two comparisons with the system clock. NTP slews at most 500 ppm,
which is 5 ms in this time."""

DRIFT_MS: Final = 500
"""A difference up to this is drift and is followed; a greater one is a jump and is
not. ntpd steps from 128 ms on, chrony and systemd at start only."""


def elapsed() -> float:
    """Seconds that passed in the world, those in which the machine slept included.

    The monotonic clock stands still while a laptop is closed; ttl must not.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Gives out `Now`; `wall` never goes back.

    Args:
        last_wall: the latest time the store has seen, UTC milliseconds.
        system: the system clock in seconds, which may jump.
        passed: seconds that only ever grow, sleep included.
        mono: seconds for deadlines, sleep not included: a lease does not run out
            while agent and broker sleep together.
    """

    def __init__(
        self,
        last_wall: int = 0,
        *,
        system: Callable[[], float] = time.time,
        passed: Callable[[], float] = elapsed,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system = system
        self._passed = passed
        self._mono = mono
        self._wall = last_wall  # never given out a smaller one
        self._anchor = passed()
        self._anchor_wall = max(system() * 1000, float(last_wall))
        self._compared = self._anchor

    def now(self) -> Now:
        passed = self._passed()
        wall = self._anchor_wall + (passed - self._anchor) * 1000
        if passed - self._compared >= DRIFT_S:
            wall = self._follow(passed, wall)
        self._wall = max(self._wall, int(wall))
        return Now(self._mono(), self._wall)

    def _follow(self, passed: float, wall: float) -> float:
        """Re-anchor on the system clock if it is near. Not behind what was given
        out: then time stands for those milliseconds."""
        self._compared = passed
        system = self._system() * 1000
        if abs(system - wall) > DRIFT_MS:
            return wall
        self._anchor, self._anchor_wall = passed, system
        return system
