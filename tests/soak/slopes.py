"""Whether a curve goes up: a fit that a kill, a spike or one odd value does not move.

The slope is that of Theil and Sen: the median of the slopes between all pairs of
points. A pair counts only within the life of one process, as the next one begins
afresh, and only if its points are far enough apart to say something. What a process
does while it warms up is left out.

How sure that is depends on the noise and on the length of the run. `doubt` is the
largest slope that noise alone would show: for a short run it is large, and a run can
only call a leak what is above it. So a curve is called rising when its slope is above
the bound by more than that.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

HOUR_S: Final = 3600.0
SURE: Final = 4.0
"""Spreads over the whole length that noise may pretend. Values a moment apart hang
together (an allocator's steps, a neighbour's load), so as if there were about ten of
them: the slope's deviation is sqrt(12 / 10) spreads, times 3.6 for one false alarm in
some thousand curves."""

APART: Final = 1 / 3
"""Of the longest life: pairs that are closer say more about noise than about slope."""

FEWEST: Final = 12
SHORTEST_S: Final = 240.0
"""A shorter life, the warming up aside, tells nothing."""


class Point(NamedTuple):
    """`at` in seconds. `life` is another one for each process (its pid)."""

    at: float
    value: float
    life: int = 0


class Slope(NamedTuple):
    """`per_hour` and `doubt` in the unit of the curve, an hour; `level`: its median;
    `span_s`: the longest life that was looked at."""

    per_hour: float
    doubt: float
    level: float
    span_s: float

    def rises_above(self, bound: float) -> bool:
        return self.per_hour - self.doubt > bound

    def tells_from(self, bound: float) -> float:
        """What would be called a leak in this run."""
        return bound + self.doubt


def slope(points: Iterable[Point], warm_up_s: float, quantum: float) -> Slope | None:
    """None if the run is too short to tell. `quantum`: steps that mean nothing."""
    lives = list(_lives(points, warm_up_s))
    spans = [life[-1].at - life[0].at for life in lives]
    span = max(spans, default=0.0)
    if span < SHORTEST_S or sum(map(len, lives)) < FEWEST:
        return None
    found = [one for life in lives for one in _slopes(life, span * APART)]
    rate = statistics.median(found)
    spread = max(_spread(lives, rate), quantum)
    level = statistics.median(point.value for life in lives for point in life)
    return Slope(rate * HOUR_S, SURE * spread / span * HOUR_S, level, span)


def _lives(points: Iterable[Point], warm_up_s: float) -> Iterable[list[Point]]:
    """The points of each process, once it is warm."""
    born: dict[int, float] = {}
    found: dict[int, list[Point]] = {}
    for point in points:
        began = born.setdefault(point.life, point.at)
        if point.at >= began + warm_up_s:
            found.setdefault(point.life, []).append(point)
    return found.values()


def _slopes(life: Sequence[Point], apart: float) -> Iterable[float]:
    for at, one in enumerate(life):
        for other in life[at + 1 :]:
            if other.at - one.at >= apart:
                yield (other.value - one.value) / (other.at - one.at)


def _spread(lives: Iterable[Sequence[Point]], rate: float) -> float:
    """How far values are from the line: 80 % of them, as a standard deviation."""
    away: list[float] = []
    for life in lives:
        rests = [point.value - rate * point.at for point in life]
        middle = statistics.median(rests)
        away += [rest - middle for rest in rests]
    away.sort()
    low, high = (away[int((len(away) - 1) * share)] for share in (0.1, 0.9))
    return (high - low) / 2.56
