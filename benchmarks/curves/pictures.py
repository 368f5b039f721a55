"""Small multiples of all curves in one SVG.."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.curves.curve import Curve
from benchmarks.figures import figure

SHOWN = {
    "Agents that are registered": ("rate", "p50", "start", "rss"),
    "Agents that are connected": ("share", "p50", "idle", "kib"),
    "Messages that wait": ("send", "p50", "start", "rss"),
    "Networks on one machine": ("in_use", "p50", "start", "rss"),
    "Topics that agents have joined": ("topic", "publish", "start", "rss"),
    "One message to everybody": ("took", "each", "stored"),
}
"""Of each curve what is drawn, from left to right."""

BLUE, GREY, RED = "#1f5fa8", "#666666", "#b03030"


def draw(curves: Sequence[Curve], path: Path) -> None:
    """A row for each curve; medians as a line, ranges as a band, bars dashed."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    # Text stays text, and two drawings of the same figures are the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ipcbus", "font.size": 8}
    shape = (len(curves), 4)
    made, axes = pyplot.subplots(*shape, figsize=(11, 2.1 * shape[0]), squeeze=False)
    for row, curve in zip(axes, curves, strict=True):
        names = SHOWN[curve.title]
        for at, panel in enumerate(row):
            if at < len(names):
                _panel(panel, curve, names[at])
            else:
                panel.axis("off")
        row[0].set_ylabel(curve.title, fontweight="bold", color=GREY)
    made.tight_layout()
    drawn = io.StringIO()
    made.savefig(drawn, format="svg", metadata={"Date": None})
    pyplot.close(made)
    path.write_text(_shorter(drawn.getvalue()))


def _shorter(svg: str) -> str:
    """A fifth of the bytes: tenths of a point are enough, and nobody reads the rest."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\d+\.\d{2,}", lambda found: f"{float(found[0]):.1f}", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font-size: (\S+); font-family: [^;\"]*", r"font: \1 sans-serif", svg)
    svg = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1sans-serif", svg)
    svg = svg.replace("</g>\n", "</g>").replace("<g>\n", "<g>")
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return re.sub(r"\n+(?=[<\"/>])", "\n", svg).strip() + "\n"


def _short(size: int) -> str:
    """10,000 as 10k, so that neighbours do not touch."""
    for unit, letter in ((10**6, "M"), (10**3, "k")):
        if size >= unit:
            return f"{size // unit}{letter}"
    return str(size)


def _panel(panel: Any, curve: Curve, name: str) -> None:
    sizes = [size for size in curve.found if name in curve.found[size]]
    metric = curve.metrics[name]
    points = [figure(curve.found[size][name]) for size in sizes]
    at = [max(size, 1) for size in sizes]  # 0 has no place on a logarithmic axis
    lows, highs = [p.low for p in points], [p.high for p in points]
    panel.fill_between(at, lows, highs, color=BLUE, alpha=0.15, linewidth=0)
    panel.plot(at, [p.median for p in points], color=BLUE, marker="o", markersize=3)
    panel.set_xscale("log")
    panel.set_xticks(at, [_short(size) for size in sizes])
    panel.minorticks_off()
    bar = metric.bar
    if bar is not None and metric.relative:
        bar *= points[0].median
    if bar is not None and bar < 3 * max(highs):
        panel.axhline(bar, color=RED, linestyle="--", linewidth=0.8)
    panel.set_ylim(bottom=0)
    panel.set_title(f"{metric.label}, {metric.unit}", fontsize=8)
    panel.set_xlabel(curve.axis, fontsize=7, color=GREY)
    panel.locator_params(axis="y", nbins=4)
    panel.tick_params(labelsize=7, left=False, bottom=False)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
