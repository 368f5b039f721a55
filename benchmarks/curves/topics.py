"""Topics that agents have joined: is a publish, or anything else, slower for them?"""

from __future__ import annotations

from contextlib import ExitStack, closing

from benchmarks.curves.couple import Couple
from benchmarks.curves.curve import RATE, Curve, Metric, Options, say, shuffled
from benchmarks.curves.place import Place
from benchmarks.curves.raw import call_all, register

EACH = 100
"""Patterns that one agent joins: as many as a network allows by default."""

METRICS = {
    "start": Metric("start", "s", 2, bar=1.5),
    "rss": Metric("broker", "MiB"),
    "rate": RATE,
    "topic": Metric("pair by a topic", "msg/s", bar=0.8, floor=True, relative=True),
    "publish": Metric("publish p50", "us"),
}


def measure(options: Options) -> Curve:
    curve = Curve("Topics that agents have joined", "patterns", METRICS)
    sizes = options.sizes(1, 100, 1_000, 10_000)
    with Place(options.folder) as place, ExitStack() as stack:
        for size in sizes:
            place.serve(f"n{size}")
            _join(f"n{size}", size - 1)
        say("joined")
        for size in sizes:
            place.stop(f"n{size}")
            start = place.start(f"n{size}")
            curve.add(size, start=start, rss=place.rss_mib(f"n{size}"))
        couples = {}
        for size in sizes:
            couples[size] = stack.enter_context(
                closing(Couple(f"n{size}", topic="news.today"))
            )
        for size in sizes:
            couples[size].rate(count=2_000)
        for _ in range(options.rounds):
            for size in shuffled(sizes):
                _round(curve, place, size, couples[size])
    return curve


def _round(curve: Curve, place: Place, size: int, couple: Couple) -> None:
    place.settle()
    straight = couple.rate(to="receiver")
    place.settle()
    curve.add(size, rate=straight, topic=couple.rate())
    place.settle()
    curve.add(size, publish=couple.latency()["p50_us"])


def _join(network: str, patterns: int) -> None:
    """A third of them with a wildcard at the end, a third with one in the middle."""
    names = [f"a{at}" for at in range((patterns + EACH - 1) // EACH)]
    pairs = register(network, names)
    for at, name in enumerate(names):
        mine = range(at * EACH, min(patterns, (at + 1) * EACH))
        calls = [("join", [_pattern(number)]) for number in mine]
        call_all(network, pairs[name], calls)


def _pattern(number: int) -> str:
    return (f"t{number}.build", f"t{number}.**", f"team.*.t{number}")[number % 3]
