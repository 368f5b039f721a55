"""Agents that are registered and away: is a broker slower for knowing them?"""

from __future__ import annotations

from contextlib import ExitStack, closing

from benchmarks.curves.couple import Couple
from benchmarks.curves.curve import (
    MANY,
    P50,
    P99,
    RATE,
    Curve,
    Metric,
    Options,
    say,
    shuffled,
)
from benchmarks.curves.place import Place
from benchmarks.curves.raw import register

METRICS = {
    "start": Metric("start", "s", 2, bar=1.5),
    "rss": Metric("broker", "MiB", bar=60),
    "rate": RATE,
    "many": MANY,
    "p50": P50,
    "p99": P99,
}


def measure(options: Options) -> Curve:
    curve = Curve("Agents that are registered", "agents", METRICS)
    sizes = options.sizes(2, 10, 100, 1_000, 10_000)
    with Place(options.folder) as place, ExitStack() as stack:
        for size in sizes:
            place.serve(f"n{size}")
            register(f"n{size}", (f"away{at}" for at in range(size - 2)))
        say("registered")
        couples = {
            size: stack.enter_context(closing(Couple(f"n{size}"))) for size in sizes
        }
        for size in sizes:
            couples[size].rate(count=2_000)  # the first touch of everything
        for _ in range(options.rounds):
            for size in shuffled(sizes):
                _round(curve, place, size, couples[size])
        stack.close()
        for _ in range(options.rounds):
            for size in sizes:
                _start(curve, place, size)
    return curve


def _round(curve: Curve, place: Place, size: int, couple: Couple) -> None:
    place.settle()
    rate = couple.rate()
    place.settle()
    curve.add(size, rate=rate, many=couple.rate("send_many"))
    place.settle()
    alone = couple.latency()
    curve.add(size, p50=alone["p50_us"], p99=alone["p99_us"])


def _start(curve: Curve, place: Place, size: int) -> None:
    name = f"n{size}"
    place.stop(name)
    curve.add(size, start=place.start(name), rss=place.rss_mib(name))
