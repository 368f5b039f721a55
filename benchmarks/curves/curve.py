"""What all curves have: sizes, rounds that take turns, a table."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import figure, table


class Options(NamedTuple):
    """`folder`: on the disk to be measured. `quick`: a tenth of all, two rounds."""

    folder: Path | None
    quick: bool

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5

    def sizes(self, *all_sizes: int) -> list[int]:
        return list(all_sizes[:-1] if self.quick else all_sizes)


class Metric(NamedTuple):
    """`bar`: what it is to stay below, or above if `floor`; as a ratio to the first
    size if `relative`. None for no such bar."""

    label: str
    unit: str
    digits: int = 0
    bar: float | None = None
    floor: bool = False
    relative: bool = False


class Curve:
    """What was found of each metric at each size, a value for each round."""

    def __init__(self, title: str, axis: str, metrics: dict[str, Metric]) -> None:
        self.title = title
        self.axis = axis
        self.metrics = metrics
        self.found: dict[int, dict[str, list[float]]] = {}

    def add(self, size: int, **values: float) -> None:
        if size not in self.found:
            self.found[size] = {}
            self.found = dict(sorted(self.found.items()))
        there = self.found[size]
        for name, value in values.items():
            assert name in self.metrics, name
            there.setdefault(name, []).append(value)

    def median(self, size: int, name: str) -> float:
        return figure(self.found[size][name]).median

    def ratio(self, name: str) -> float:
        """The median at the largest size, divided by that at the smallest."""
        there = [size for size in self.found if name in self.found[size]]
        return self.median(there[-1], name) / self.median(there[0], name)

    def text(self) -> str:
        heads = [self.axis, *(self._head(metric) for metric in self.metrics.values())]
        rows = [
            [f"{size:,}", *(self._cell(size, name) for name in self.metrics)]
            for size in self.found
        ]
        verdicts = [verdict for name in self.metrics for verdict in self._verdict(name)]
        return "\n".join([self.title, table(heads, rows), *verdicts, ""])

    @staticmethod
    def _head(metric: Metric) -> str:
        return f"{metric.label}, {metric.unit}"

    def _cell(self, size: int, name: str) -> str:
        values = self.found[size].get(name)
        if values is None:
            return "-"
        digits = self.metrics[name].digits
        found = figure(values)
        return found.text(digits) if len(values) > 1 else f"{found.median:,.{digits}f}"

    def _verdict(self, name: str) -> list[str]:
        metric = self.metrics[name]
        if metric.bar is None:
            return []
        value = self.ratio(name) if metric.relative else self._worst(name, metric)
        good = value >= metric.bar if metric.floor else value <= metric.bar
        what = "largest : smallest" if metric.relative else "worst median"
        bound = "at least" if metric.floor else "at most"
        return [
            f"  {metric.label}, {what}: {value:,.2f} ({bound} {metric.bar:g}) "
            + ("good" if good else "NOT REACHED")
        ]

    def _worst(self, name: str, metric: Metric) -> float:
        medians = [self.median(s, name) for s in self.found if name in self.found[s]]
        return min(medians) if metric.floor else max(medians)

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "axis": self.axis,
            "metrics": {n: metric._asdict() for n, metric in self.metrics.items()},
            "found": self.found,
        }

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Curve:
        metrics = {n: Metric(**metric) for n, metric in told["metrics"].items()}
        made = cls(told["title"], told["axis"], metrics)
        found = sorted((int(size), there) for size, there in told["found"].items())
        made.found = dict(found)
        return made


RATE = Metric("pair", "msg/s", bar=0.8, floor=True, relative=True)
MANY = Metric("pair, send_many", "msg/s", bar=0.8, floor=True, relative=True)
P50 = Metric("one at a time p50", "us")
P99 = Metric("p99", "us")


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"  {text}", flush=True)


def shuffled(sizes: Sequence[int]) -> list[int]:
    """In another order for each round: what comes later inherits a warmer machine."""
    return random.sample(sizes, len(sizes))
