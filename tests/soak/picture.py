"""The curves of a soak in one SVG.."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.curves import pictures
from benchmarks.curves.pictures import BLUE, GREY, RED
from tests.soak.gauges import GAUGES, points
from tests.soak.slopes import Point
from tests.soak.walk import Outcome

ROWS: Final[dict[str, tuple[str, ...]]] = {
    "memory": ("rss dev", "rss prod", "rss bridge", "rss client"),
    "descriptors": ("fds dev", "fds prod", "fds bridge", "fds client"),
    "on disk": ("wal dev", "wal prod", "db dev", "db prod"),
    "half are faster": ("accepted p50", "near p50", "far p50", "answered p50"),
    "99 of 100 are faster": ("accepted p99", "near p99", "far p99", "answered p99"),
    "traffic": ("rate", "backlog", "unindexed", "others"),
}
"""What is drawn, from left to right."""

PALE: Final = "#cccccc"
HOUR_S: Final = 3600.0
MANY: Final = 1.5
"""Hours from which on the axis is in hours."""

DRAWN: Final = 100
"""About so many points of each curve: more are bytes that nobody sees."""

ABOVE: Final = 1.3
"""A panel ends so far above 98 % of its values: one spike must not flatten the rest."""


def draw(outcome: Outcome, path: Path) -> None:
    """A dotted line is a kill: red of that very process, grey of another."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    # Text stays text, and two drawings of the same figures are the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ipcbus", "font.size": 8}
    made, axes = pyplot.subplots(len(ROWS), 4, figsize=(11, 1.9 * len(ROWS)))
    for row, (title, names) in zip(axes, ROWS.items(), strict=True):
        for at, panel in enumerate(row):
            if at < len(names):
                _panel(panel, outcome, names[at])
            else:
                panel.axis("off")
        row[0].set_ylabel(title, fontweight="bold", color=GREY)
    made.tight_layout()
    drawn = io.StringIO()
    made.savefig(drawn, format="svg", metadata={"Date": None})
    pyplot.close(made)
    path.write_text(pictures._shorter(drawn.getvalue()))


def _panel(panel: Any, outcome: Outcome, name: str) -> None:
    gauge, found = GAUGES[name], points(outcome.samples, name)
    unit, word = _axis(outcome.plan.seconds)
    top = _top([p.value for p in found], gauge.most)
    own = [at for who, at, _ in outcome.outages if gauge.lives and who == gauge.label]
    others = [at for _, at, _ in outcome.outages if at not in own]
    for moments, colour in ((others, PALE), (own, RED)):
        # As one line, with gaps: half the bytes of the picture otherwise.
        xs = [x for at in moments for x in (at / unit, at / unit, math.nan)]
        ys = [0, top, math.nan] * len(moments)
        panel.plot(xs, ys, color=colour, linestyle=":", linewidth=0.6)
    for life in _lives(found, max(1, len(found) // DRAWN)):
        panel.plot(
            [p.at / unit for p in life],
            [p.value for p in life],
            color=BLUE,
            linewidth=0.8,
        )
    if gauge.most is not None:
        panel.axhline(gauge.most, color=RED, linestyle="--", linewidth=0.8)
    panel.set_ylim(0, top)
    panel.set_title(f"{gauge.label}, {gauge.unit}", fontsize=8)
    panel.set_xlabel(word, fontsize=7, color=GREY)
    panel.locator_params(axis="y", nbins=4)
    panel.ticklabel_format(axis="y", style="plain")
    panel.tick_params(labelsize=7, left=False, bottom=False)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _axis(seconds: float) -> tuple[float, str]:
    return (HOUR_S, "hours") if seconds > MANY * HOUR_S else (60.0, "minutes")


def _lives(found: Sequence[Point], every: int) -> list[list[Point]]:
    """Each process its own line; of `every` points in a row the median."""
    lives: dict[int, list[Point]] = {}
    for point in found:
        lives.setdefault(point.life, []).append(point)
    return [
        [_median(life[at : at + every]) for at in range(0, len(life), every)]
        for life in lives.values()
    ]


def _median(some: Sequence[Point]) -> Point:
    middle = statistics.median(point.value for point in some)
    return some[len(some) // 2]._replace(value=middle)


def _top(values: Sequence[float], most: float | None) -> float:
    ordered = sorted(values) or [0.0]
    usual = ordered[int((len(ordered) - 1) * 0.98)]
    return ABOVE * max(usual, most or 0.0, 1.0)
