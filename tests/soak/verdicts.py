"""What a soak promises, judged by its curves and its history."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from tests.soak.gauges import GAUGES, MIB, Gauge, Sample, points
from tests.soak.slopes import Slope, slope
from tests.soak.walk import Outcome

WARM_UP_S: Final = 120.0
"""Left out of each life: SQLite's page cache fills (16 MiB), the allocator gets its
arenas, queues get their sizes."""

CROWDED: Final = 25.0
"""Percent of the machine that others used: then a latency says more of them than of
us, and is told and not judged."""


class Verdict(NamedTuple):
    """`good` is None where nothing was judged; `says` is why, in words."""

    name: str
    gauge: Gauge
    median: float
    highest: float
    slope: Slope | None
    good: bool | None
    says: str


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    others = [one.values["others"] for one in samples if "others" in one.values]
    crowded = bool(others) and statistics.median(others) > CROWDED
    found = []
    for name, gauge in GAUGES.items():
        values = [point.value for point in points(samples, name)]
        if values:
            rise = slope(points(samples, name), WARM_UP_S, gauge.quantum)
            good, says = _judge(gauge, max(values), rise, crowded=crowded)
            middle = statistics.median(values)
            found.append(Verdict(name, gauge, middle, max(values), rise, good, says))
    return found


def _judge(
    gauge: Gauge, highest: float, rise: Slope | None, *, crowded: bool
) -> tuple[bool | None, str]:
    if gauge.most is not None:
        return highest < gauge.most, f"must stay below {gauge.most:g}"
    if gauge.bound is None:
        return None, "told"
    if rise is None:
        return None, "too short to tell"
    tells = f"this run tells more than {rise.tells_from(gauge.bound):,.1f}"
    if gauge.crowds and crowded:
        return None, "told: others used the machine"
    says = f"at most {gauge.bound:g} an hour ({gauge.why}); {tells}"
    return not rise.rises_above(gauge.bound), says


def table(found: Sequence[Verdict]) -> str:
    """A line for each curve."""
    head = (
        f"{'curve':<32}{'unit':<17}{'median':>9}{'highest':>9}{'an hour':>9}"
        f"{'doubt':>8}  verdict"
    )
    return "\n".join([head, *map(_line, found)])


def _line(one: Verdict) -> str:
    rise = one.slope
    slope_text = f"{rise.per_hour:>+9.1f}{rise.doubt:>8.1f}" if rise else f"{'-':>17}"
    word = {True: "good", False: "BROKEN", None: "-"}[one.good]
    label = one.gauge.label
    if one.name[:3] in ("rss", "fds"):
        label = f"{one.name[:3]} of {label}"
    return (
        f"{label:<32}{one.gauge.unit:<17}{one.median:>9.1f}{one.highest:>9.1f}"
        f"{slope_text}  {word}: {one.says}"
    )


def summary(outcome: Outcome) -> str:
    """The history, the kills, and what a message costs on disk."""
    count = outcome.counts
    outages = [took for _, _, took in outcome.outages]
    lost = sum("never delivered" in one for one in outcome.broken)
    return "\n".join(
        [
            f"{count['ok']:,} accepted, {count['delivered']:,} delivered "
            f"({count['again']:,} of them again), {count['request']:,} requests, "
            f"{count['reply']:,} answers, {count['ttl']:,} that ended unread",
            f"{outcome.checks} checks of the history: {lost} lost, "
            f"{len(outcome.broken) - lost} otherwise broken",
            f"{len(outages)} kills, all got on after "
            f"{statistics.median(outages or [0.0]):.2f} s in the median, "
            f"{max(outages, default=0.0):.2f} s at the longest",
            *_growth(outcome.samples),
        ]
    )


def _growth(samples: Sequence[Sample]) -> list[str]:
    """Bytes on disk for each message that was sent, in the last half: ids are known
    for a day at least, and content for as long as the history is kept."""
    half = samples[len(samples) // 2 :]
    sent = sum(one.values["rate"] * (one.at - last.at) for last, one in pairwise(half))
    found = []
    for name in ("db dev", "db prod"):
        sizes = [point.value for point in points(half, name)]
        if sent and sizes:
            each = (sizes[-1] - sizes[0]) * MIB / sent
            found.append(f"{GAUGES[name].label}: {each:+,.0f} bytes for each sent")
    return found
