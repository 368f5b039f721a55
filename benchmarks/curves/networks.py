"""Networks on one machine: each has a broker of its own. What do many of them cost?"""

from __future__ import annotations

from contextlib import ExitStack, closing

import ipcbus
from benchmarks.curves.couple import Couple
from benchmarks.curves.curve import P50, P99, Curve, Metric, Options, say
from benchmarks.curves.place import Place
from benchmarks.figures import figure

IDLE_S = 4.0

METRICS = {
    "start": Metric("start of one more", "s", 2, bar=1.5),
    "rss": Metric("each broker", "MiB", 1, bar=60),
    "idle": Metric("all while idle", "% of a processor", 1),
    "in_use": Metric("all, an agent in each", "% of a processor", 1),
    "p50": P50,
    "p99": P99,
}


def measure(options: Options) -> Curve:
    curve = Curve("Networks on one machine", "networks", METRICS)
    names: list[str] = []
    with Place(options.folder) as place, ExitStack() as stack:
        place.serve("first")
        couple = stack.enter_context(closing(Couple("first")))
        couple.latency()
        names.append("first")
        for size in options.sizes(1, 5, 10, 25, 50):
            while len(names) < size:
                names.append(f"n{len(names)}")
                place.serve(names[-1])
            _measure(curve, place, names, couple, options.rounds)
            say(f"{size} networks")
    return curve


def _measure(
    curve: Curve, place: Place, names: list[str], couple: Couple, rounds: int
) -> None:
    size = len(names)
    place.serve(f"more{size}")
    for _ in range(rounds):
        place.stop(f"more{size}")
        curve.add(size, start=place.start(f"more{size}"))
    place.stop(f"more{size}")
    rss = figure([place.rss_mib(name) for name in names]).median
    curve.add(size, rss=rss, idle=100 * sum(place.idle_share(names, IDLE_S)))
    with ExitStack() as stack:
        for name in names[1:]:
            stack.enter_context(ipcbus.connect(name, agent="idler"))
        curve.add(size, in_use=100 * sum(place.idle_share(names, IDLE_S)))
    for _ in range(rounds):
        alone = couple.latency()
        curve.add(size, p50=alone["p50_us"], p99=alone["p99_us"])
