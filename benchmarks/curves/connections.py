"""Agents that are connected: what each costs, idle and with a message in its hands."""

from __future__ import annotations

import resource
import time
from contextlib import ExitStack, closing

import ipcbus
from benchmarks.curves.couple import Couple
from benchmarks.curves.crowd import TOPIC, Crowd
from benchmarks.curves.curve import Curve, Metric, Options, say
from benchmarks.curves.place import Place

KIB = 1024
IDLE_S = 5.0
AGED = 1_000
"""Connections at which it is also measured what each costs when it is old."""
PINGS = 320
AT_ONCE = 16
"""After so many messages each way libzmq's queues of a connection have their size."""

METRICS = {
    "join": Metric("all connected in", "s", 1),
    "kib": Metric("each", "KiB", 1, bar=40),
    "old_kib": Metric("each when old", "KiB", 1),
    "idle": Metric("broker while idle", "% of a processor", 1),
    "rate": Metric("pair among them", "msg/s"),
    "beside": Metric("pair beside them", "msg/s"),
    "share": Metric("among : beside", "ratio", 2, bar=0.8, floor=True),
    "p50": Metric("one at a time p50", "us"),
    "p99": Metric("p99", "us"),
    "beside_p50": Metric("beside them p50", "us"),
    "topic": Metric("one message to all", "ms", 1),
    "held_share": Metric("all hold one, among : beside", "ratio", 2),
    "held_p50": Metric("all hold one, p50", "us"),
}


def measure(options: Options) -> Curve:
    curve = Curve("Agents that are connected", "connections", METRICS)
    sizes = [size for size in options.sizes(100, 1_000, 10_000) if _has_files(size)]
    with Place(options.folder) as place, ExitStack() as stack:
        place.serve("beside")
        beside = stack.enter_context(closing(Couple("beside")))
        beside.rate(count=2_000)
        for size in sizes:
            place.serve(f"n{size}")
            _measure(curve, place, beside, size, options)
    return curve


def _has_files(size: int) -> bool:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < size + 1_000:
        say(f"left out: {size:,} connections want more descriptors than {hard:,}")
        return False
    return True


def _measure(
    curve: Curve, place: Place, beside: Couple, size: int, options: Options
) -> None:
    name = f"n{size}"
    with closing(Couple(name)) as among, closing(Crowd(name)) as crowd:
        among.rate(count=2_000)
        before = place.rss_mib(name)
        took = crowd.grow(size)
        each = (place.rss_mib(name) - before) * KIB / size
        curve.add(size, join=took, kib=each)
        say(f"{size:,} connected in {took:.1f} s, {each:.1f} KiB each")
        (share,) = place.idle_share([name], IDLE_S)
        curve.add(size, idle=share * 100)
        if size == AGED:
            for _ in range(PINGS // AT_ONCE):
                crowd.ping(AT_ONCE)
            old = (place.rss_mib(name) - before) * KIB / size
            curve.add(size, old_kib=old)
        for _ in range(options.rounds):
            _compare(curve, place, size, among, beside)
        with ipcbus.connect(name, agent="caller") as caller:
            curve.add(size, topic=_tell_all(caller))
        for _ in range(options.rounds):
            _compare_held(curve, place, size, among, beside)
        lost = size - crowd.report()["alive"]
        if lost:
            say(f"{lost} of {size:,} were lost on the way: the machine is too busy")


def _compare(
    curve: Curve, place: Place, size: int, among: Couple, beside: Couple
) -> None:
    rate, other = _rates(place, among, beside)
    here, there = among.latency(), beside.latency()
    curve.add(
        size,
        rate=rate,
        beside=other,
        share=rate / other,
        p50=here["p50_us"],
        p99=here["p99_us"],
        beside_p50=there["p50_us"],
    )


def _compare_held(
    curve: Curve, place: Place, size: int, among: Couple, beside: Couple
) -> None:
    rate, other = _rates(place, among, beside)
    here = among.latency()["p50_us"]
    curve.add(size, held_share=rate / other, held_p50=here)


def _rates(place: Place, among: Couple, beside: Couple) -> tuple[float, float]:
    rate = among.rate()
    place.settle(1)
    other = beside.rate()
    place.settle(1)
    return rate, other


def _tell_all(caller: ipcbus.Client) -> float:
    """Milliseconds until the message to all of the crowd is stored."""
    began = time.monotonic()
    caller.send(f"#{TOPIC}", b"one for each")
    return (time.monotonic() - began) * 1000
