"""One message to everybody (`*`): how long until it is in so many mailboxes."""

from __future__ import annotations

import time
from contextlib import ExitStack

import ipcbus
from benchmarks.curves.curve import Curve, Metric, Options, say
from benchmarks.curves.place import Place
from benchmarks.curves.raw import register

BODY = bytes(64 * 1024)
"""Large, so that it shows in the database whether it is stored once."""

TIMES = 5

METRICS = {
    "took": Metric("confirmed after", "ms", 1, bar=1_000),
    "each": Metric("of that for each mailbox", "us", 1),
    "stored": Metric("database grows by", "KiB"),
}


def measure(options: Options) -> Curve:
    curve = Curve("One message to everybody", "mailboxes", METRICS)
    sizes = options.sizes(1, 10, 100, 1_000, 10_000)
    with Place(options.folder) as place, ExitStack() as stack:
        for size in sizes:
            place.serve(f"n{size}")
            register(f"n{size}", (f"away{at}" for at in range(size)))
        say("registered")
        before = {size: _restarted(place, size) for size in sizes}
        callers = {
            size: stack.enter_context(ipcbus.connect(f"n{size}", agent="caller"))
            for size in sizes
        }
        for _ in range(TIMES):
            for size in sizes:
                took = _tell(callers[size])
                curve.add(size, took=took * 1e3, each=took * 1e6 / size)
        stack.close()
        for size in sizes:
            grown = _restarted(place, size) - before[size]
            curve.add(size, stored=grown / TIMES / 1024)
    return curve


def _tell(caller: ipcbus.Client) -> float:
    began = time.monotonic()
    caller.send("*", BODY)
    return time.monotonic() - began


def _restarted(place: Place, size: int) -> int:
    """Bytes of the database once all of it is in its file."""
    place.stop(f"n{size}")
    stored = place.stored_bytes(f"n{size}")
    place.start(f"n{size}")
    return stored
