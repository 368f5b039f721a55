"""A picture of the rates: a panel for each group, a bar for each contender."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure, figure
from benchmarks.peers.entries import ONE, TITLES

Rounds = Mapping[tuple[str, str], Sequence[Mapping[str, float] | None]]

OURS: Final = "#1f6f8b"
THEIRS: Final = "#b8b8b8"
FLOOR: Final = "#e2c58b"
FLOORS: Final = ("bare loop", "raw relay", "raw commits")

LOG_FROM: Final = 20
"""Bars that differ by more than this are drawn by their logarithm."""

LATENCIES: Final = {
    "send to confirmation, p50": "confirm_p50_us",
    "send to receiver, p50": "arrive_p50_us",
}


def draw(rounds: Rounds, path: Path) -> Path:
    """Draw it into a file whose name ends as its format: .svg or .png."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "ipcbus"})
    from matplotlib import pyplot

    panels = _panels(rounds)
    heights = [1.2 + len(bars) for _, _, bars in panels]
    drawing, axes = pyplot.subplots(
        len(panels),
        figsize=(9, 0.27 * sum(heights) + 0.4 * len(panels)),
        height_ratios=heights,
        squeeze=False,
    )
    for axis, (title, unit, bars) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, title, unit, bars)
    drawing.tight_layout()
    drawing.savefig(path, dpi=150, metadata={"Date": None} if _is_svg(path) else None)
    pyplot.close(drawing)
    return path


def _is_svg(path: Path) -> bool:
    return path.suffix == ".svg"


def _panels(rounds: Rounds) -> list[tuple[str, str, dict[str, Figure]]]:
    """Title, unit and bars of each."""
    panels = []
    for group, title in TITLES.items():
        fields = {"": "rate"} if group != ONE else LATENCIES
        unit = "messages a second" if group != ONE else "microseconds"
        for what, field in fields.items():
            bars = _bars(rounds, group, field)
            if bars:
                panels.append((f"{title}: {what}" if what else title, unit, bars))
    return panels


def _bars(rounds: Rounds, group: str, field: str) -> dict[str, Figure]:
    """By name, from the best on."""
    found = {}
    for (where, name), told in rounds.items():
        values = [one[field] for one in told if one is not None and field in one]
        if where == group and values and name != "raw commits":
            found[name] = figure(values)
    by_median = sorted(found.items(), key=lambda item: item[1].median)
    return dict(by_median if field != "rate" else reversed(by_median))


def _panel(axis: Any, title: str, unit: str, bars: dict[str, Figure]) -> None:
    names, figures = list(bars), list(bars.values())
    medians = [one.median for one in figures]
    spread = [
        [one.median - one.low for one in figures],
        [one.high - one.median for one in figures],
    ]
    axis.barh(
        range(len(names)),
        medians,
        xerr=spread,
        color=[_color(name) for name in names],
        ecolor="#444444",
        error_kw={"elinewidth": 0.8, "capsize": 2},
    )
    _scale(axis, figures)
    for at, one in enumerate(figures):
        label = f"  {one.median:,.0f}"
        axis.text(one.high, at, label, va="center", fontsize=8)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axis.set_xlabel(unit)
    axis.spines[["top", "right"]].set_visible(False)


def _scale(axis: Any, figures: Sequence[Figure]) -> None:
    """From zero on, or from a power of ten if the shortest bar would not be seen; with
    room for the number at the end of the longest."""
    low, high = min(one.low for one in figures), max(one.high for one in figures)
    if high > LOG_FROM * low:
        axis.set_xscale("log")
        axis.set_xlim(10 ** math.floor(math.log10(low)), high * 2)
    else:
        axis.set_xlim(0, high * 1.12)
    axis.xaxis.set_major_formatter("{x:,.0f}")


def _color(name: str) -> str:
    if name.startswith("ipcbus"):
        return OURS
    return FLOOR if name.startswith(FLOORS) else THEIRS
