"""Messages that wait in the mailbox that is sent to.

A round sends some into it and then takes as many out, so that it stays as full as it
was. The empty one is treated in the same way.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import ipcbus
from benchmarks.backlog import send
from benchmarks.curves.curve import Curve, Metric, Options, say, shuffled
from benchmarks.curves.place import Place
from benchmarks.figures import percentile

IN_AND_OUT = 5_000
TAKES = 200
FILL = 100_000

METRICS = {
    "start": Metric("start", "s", 2, bar=1.5),
    "killed": Metric("start after kill -9", "s", 2, bar=1.5),
    "rss": Metric("broker", "MiB", bar=60),
    "send": Metric("send", "msg/s", bar=0.9, floor=True, relative=True),
    "drain": Metric("fetch and ack", "msg/s"),
    "p50": Metric("fetch and ack one p50", "us"),
    "p99": Metric("p99", "us"),
}


def measure(options: Options) -> Curve:
    curve = Curve("Messages that wait", "waiting", METRICS)
    sizes = options.sizes(0, 1_000, 10_000, 100_000, 1_000_000)
    with Place(options.folder) as place, ExitStack() as stack:
        pairs = {size: _filled(place, size, stack) for size in sizes}
        say("filled")
        place.settle()
        for turn in range(options.rounds + 1):
            for size in shuffled(sizes):
                place.settle(5)
                _round(curve, size, *pairs[size], counts=turn > 0)
        for size in sizes:
            curve.add(size, rss=place.rss_mib(f"n{size}"))
        stack.close()
        for _ in range(options.rounds):
            for size in sizes:
                _starts(curve, place, size)
    return curve


def _filled(
    place: Place, size: int, stack: ExitStack
) -> tuple[ipcbus.Client, ipcbus.Client]:
    """A sender, and the agent in whose mailbox so many messages wait."""
    name = f"n{size}"
    place.serve(name)
    sender = stack.enter_context(ipcbus.connect(name, agent="sender"))
    full = stack.enter_context(ipcbus.connect(name, agent="full"))
    for at in range(0, size, FILL):
        send(sender, "full", min(FILL, size - at))
    return sender, full


def _round(
    curve: Curve, size: int, sender: ipcbus.Client, full: ipcbus.Client, *, counts: bool
) -> None:
    rate = IN_AND_OUT / send(sender, "full", IN_AND_OUT)
    times = [_take(full) for _ in range(TAKES)]
    drain = _drain(full, IN_AND_OUT - TAKES)
    if counts:
        p50, p99 = (percentile(times, share) * 1e6 for share in (0.5, 0.99))
        curve.add(size, send=rate, drain=drain, p50=p50, p99=p99)


def _take(full: ipcbus.Client) -> float:
    began = time.monotonic()
    (message,), _ = full.fetch(1, timeout=10)
    message.ack().result(10)
    return time.monotonic() - began


def _drain(full: ipcbus.Client, count: int) -> float:
    """Messages a second, a few hundred at a time."""
    began, left = time.monotonic(), count
    while left:
        messages, _ = full.fetch(min(left, 200), timeout=10)
        for message in messages:
            message.ack()
        left -= len(messages)
    full.flush(60)
    return count / (time.monotonic() - began)


def _starts(curve: Curve, place: Place, size: int) -> None:
    name = f"n{size}"
    place.stop(name)
    start = place.start(name)
    place.kill(name)
    curve.add(size, start=start, killed=place.start(name))
