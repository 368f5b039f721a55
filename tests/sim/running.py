"""Many walks side by side, and what they came to."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Final, NamedTuple

from tests.sim.planted import BUGS
from tests.sim.shrinking import shrink
from tests.sim.walks import Walk, walk

TELL_S: Final = 2.0
"""Between two lines about how far it is."""


class Failed(NamedTuple):
    """A walk that failed, and the shortest that fails so."""

    walk: Walk
    shrunk: Walk


class Sum(NamedTuple):
    seeds: int
    events: int
    seconds: float
    failures: int

    def __str__(self) -> str:
        a_minute = 60 * self.events / max(self.seconds, 0.001)
        return (
            f"{self.seeds} seeds, {self.events:,} events in {self.seconds:.1f} s "
            f"({a_minute:,.0f} a minute), {self.failures} failed"
        )


class Found(NamedTuple):
    """What it took to find a planted bug: the last of the seeds, and all events up to
    there. `walk` is None if it was not found."""

    name: str
    seeds: int
    events: int
    walk: Walk | None


def run(seeds: Sequence[int], things: int, jobs: int) -> int:
    """Walk all seeds; the exit code. Prints what failed, and the sum."""
    began = time.monotonic()
    events = failures = 0
    told = began
    for at, (walked, failed) in enumerate(_all(seeds, things, jobs), 1):
        events += walked
        if failed is not None:
            failures += 1
            print(*tell(failed), sep="\n", flush=True)
        if sys.stderr.isatty() and time.monotonic() - told > TELL_S:
            told = time.monotonic()
            so_far = Sum(at, events, told - began, failures)
            print(f"\r{so_far}", end=" ", file=sys.stderr, flush=True)
    print(Sum(len(seeds), events, time.monotonic() - began, failures))
    return 1 if failures else 0


def _all(
    seeds: Sequence[int], things: int, jobs: int
) -> Iterator[tuple[int, Failed | None]]:
    one = partial(look, things=things)
    if jobs == 1:
        yield from map(one, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(one, seeds)


def look(seed: int, things: int) -> tuple[int, Failed | None]:
    """Events of a walk, and what is wrong with it."""
    walked = walk(seed, range(things))
    if walked.failure is None:
        return walked.events, None
    return walked.events, Failed(walked, shrink(walked))


def seek(name: str, seeds: Iterable[int], things: int) -> Found:
    """Walk seeds with a planted bug in the product until one fails."""
    events = walks = 0
    with BUGS[name].planted():
        for seed in seeds:
            walked = walk(seed, range(things))
            walks, events = walks + 1, events + walked.events
            if walked.failure is not None:
                return Found(name, walks, events, walked)
    return Found(name, walks, events, None)


def seek_all(names: Sequence[str], seeds: range, things: int, jobs: int) -> int:
    """A table of what it took to find each; 1 if one was not found."""
    print(f"{'bug':32} {'seed':>5} {'events':>9}  seen as")
    missed = 0
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(names))) as pool:
        seeking = partial(seek, seeds=seeds, things=things)
        for found in pool.imap(seeking, names):
            walked = found.walk
            missed += walked is None
            seed = "-" if walked is None else str(walked.seed)
            why = walked.failure.said if walked and walked.failure else "not found"
            print(
                f"{found.name:32} {seed:>5} {found.events:>9,}  {why:.90}", flush=True
            )
    print(f"{len(names) - missed} of {len(names)} found")
    return 1 if missed else 0


def repeat(seed: int, things: Sequence[int], name: str) -> int:
    """One walk, told in full; its exit code."""
    with BUGS[name].planted() if name else nullcontext():
        walked = walk(seed, things)
    print(*story(walked), sep="\n")
    return 1 if walked.failure else 0


# --- in words -----------------------------------------------------------------------


def story(walked: Walk) -> list[str]:
    if walked.failure is None:
        return [*walked.story, f"all is well after {walked.events:,} events"]
    return [*walked.story, f"FAILED: {walked.failure.said}", walked.failure.kind]


def tell(failed: Failed, name: str = "") -> list[str]:
    """The story, the shrunk one, and how to repeat it."""
    count, left = len(failed.walk.things), len(failed.shrunk.things)
    return [
        *story(failed.walk),
        "",
        f"shrunk from {count} things to {left}:",
        *story(failed.shrunk),
        f"again: {command(failed.shrunk, name)}",
        "",
    ]


def command(walked: Walk, name: str = "") -> str:
    """What repeats a walk."""
    only = ",".join(map(str, walked.things)) or "none"
    planted = f" --planted {name}" if name else ""
    return f"python -m tests.sim{planted} --seed {walked.seed} --only {only}"
