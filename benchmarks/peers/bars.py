"""How ipcbus is to compare with the others: ratios within a round, and the bars.

Both sides of a ratio are neighbours of one round; what is quoted is the median of the
rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.figures import Figure, figure
from benchmarks.peers.entries import CROWD, DURABLE, FEW, ONE, VOLATILE

Rounds = Mapping[tuple[str, str], Sequence[Mapping[str, float] | None]]
"""By group and name: the figures of each round; None for one that failed."""

CURVE: Final = ", CURVE"


class Bar(NamedTuple):
    """One ratio.

    Attributes:
        over: what ipcbus is divided by: the sum of these; nothing for a bare figure.
        least: what it must reach (`most`: must not exceed); None if it is only told.
        aim: what it should reach.
        fields: of ipcbus, and of each of `over`.
    """

    group: str
    ours: str
    over: tuple[str, ...]
    least: float | None
    aim: float | None = None
    fields: tuple[str, str] = ("rate", "rate")
    most: bool = False
    unit: str = "x"

    @property
    def text(self) -> str:
        over = " + ".join(self.over)
        what = "" if self.fields[0] == "rate" else f" {_WORDS[self.fields[0]]}"
        return f"{self.group}: {self.ours}{what}" + (f" / {over}" if over else "")

    def measured(self, rounds: Rounds, curve: bool = False) -> Figure | None:
        """Median and range; None if somebody did not take part. With `curve` of ipcbus
        encrypted instead."""
        mine = rounds.get((self.group, self.ours + CURVE * curve), ())
        theirs = [rounds.get((self.group, name), ()) for name in self.over]
        found = []
        for at, one in enumerate(mine):
            others = [their[at] if at < len(their) else None for their in theirs]
            ratio = self._ratio(one, others)
            if ratio is not None:
                found.append(ratio)
        return figure(found) if found else None

    def _ratio(
        self,
        mine: Mapping[str, float] | None,
        theirs: list[Mapping[str, float] | None],
    ) -> float | None:
        if mine is None:
            return None
        below = 0.0
        for one in theirs:
            if one is None:
                return None
            below += one[self.fields[1]]
        above = mine[self.fields[0]]
        return above / below if theirs else above

    def verdict(self, found: Figure | None) -> str:
        if found is None or self.least is None:
            return ""
        if not self._reaches(found.median, self.least):
            return "MISSED"
        aimed = self.aim is not None and self._reaches(found.median, self.aim)
        return "aim met" if aimed else "met"

    def _reaches(self, value: float, bar: float) -> bool:
        return value <= bar if self.most else value >= bar


_WORDS: Final = {
    "confirm_p50_us": "confirm p50",
    "arrive_p50_us": "send-to-receive p50",
    "server_us": "broker CPU, us a message",
}

_STREAM, _SYNC = "NATS JetStream", "NATS JetStream, sync always"
_REDIS, _REDIS_4 = "Redis stream, always", "Redis stream, always, 4 pipelines"
_MANY, _ASYNC, _PIPE = "ipcbus send_many", "ipcbus AsyncClient", "ipcbus submit"
_MEMORY = "ipcbus in memory, send_many"
_CONFIRM = ("confirm_p50_us", "confirm_p50_us")
_ARRIVE = ("arrive_p50_us", "arrive_p50_us")

BARS: Final = (
    Bar(DURABLE, _PIPE, (_STREAM,), 2.0, 3.0),
    Bar(DURABLE, _PIPE, (_REDIS,), 1.2, 2.0),
    Bar(DURABLE, _PIPE, (_SYNC,), 25.0, 35.0),
    Bar(DURABLE, _MANY, (_STREAM,), 3.0, 4.5),
    Bar(DURABLE, _MANY, (_REDIS,), 2.0, 3.0),
    Bar(DURABLE, _MANY, (_REDIS_4,), None),
    Bar(DURABLE, _MANY, ("bare loop",), 0.5, 0.65),
    Bar(DURABLE, _ASYNC, (_REDIS,), 1.5, 2.0),
    Bar(DURABLE, _MANY, (), 10.0, 5.0, ("server_us", ""), most=True, unit="us"),
    Bar(CROWD, _MANY, ("bare loop",), 0.5),
    Bar(CROWD, _MANY, (_REDIS,), 1.5, 2.5),
    Bar(FEW, _MANY, ("bare loop",), 0.5),
    Bar(FEW, _MANY, (_REDIS,), 1.5, 2.5),
    Bar(VOLATILE, _MEMORY, ("raw relay, batches",), 0.4, 0.6),
    Bar(VOLATILE, _MEMORY, ("NATS core",), 1.5),
    Bar(ONE, "ipcbus send", ("raw relay", "raw commits"), 1.5, 1.2, _CONFIRM, True),
    Bar(ONE, "ipcbus send", (_STREAM,), 1.5, 1.1, _ARRIVE, True),
    Bar(DURABLE, _PIPE + CURVE, (_PIPE,), 0.75, 0.85),
    Bar(DURABLE, _MANY + CURVE, (_MANY,), 0.75, 0.85),
)

HEADS: Final = ("ratio", "bar", "aim", "measured", "", "with CURVE")


def row(bar: Bar, rounds: Rounds) -> list[str]:
    sign = "<=" if bar.most else ">="
    found = bar.measured(rounds)
    curve = bar.measured(rounds, curve=True)
    return [
        bar.text,
        "" if bar.least is None else f"{sign} {bar.least:g} {bar.unit}",
        "" if bar.aim is None else f"{bar.aim:g}",
        found.text(2) if found else "-",
        bar.verdict(found),
        curve.text(2) if curve else "-",
    ]
