"""Random worlds, at will: `python -m tests.sim --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from tests.sim.planted import BUGS
from tests.sim.running import Failed, repeat, run, seek, seek_all, tell
from tests.sim.shrinking import shrink
from tests.sim.walks import THINGS


def main(words: Sequence[str] | None = None) -> int:
    said = _parser().parse_args(words)
    planted: str | None = said.planted
    if planted not in (None, "all", *BUGS):
        print(f"no such bug: {planted}; there are {', '.join(BUGS)}", file=sys.stderr)
        return 2
    if said.seed is not None:
        things = said.only if said.only is not None else range(said.things)
        return repeat(said.seed, things, planted or "")
    seeds = range(said.first, said.first + said.seeds)
    if planted is None:
        return run(seeds, said.things, said.jobs)
    if planted == "all":
        return seek_all(list(BUGS), seeds, said.things, said.jobs)
    return _show(planted, seeds, said.things)


def _show(name: str, seeds: range, things: int) -> int:
    """Seek one planted bug, and tell all of it."""
    found = seek(name, seeds, things)
    print(f"{name}: {BUGS[name].promise}")
    if found.walk is None:
        print(f"not found in {found.seeds} seeds, {found.events:,} events")
        return 1
    with BUGS[name].planted():
        shrunk = shrink(found.walk)
    print(*tell(Failed(found.walk, shrunk), name), sep="\n")
    print(f"found at seed {found.walk.seed}, after {found.events:,} events")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.sim", description=__doc__)
    number: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--seeds", default=1000, help="how many walks", **number)
    parser.add_argument("--first", default=0, help="the first seed", **number)
    parser.add_argument("--things", default=THINGS, help="of each walk", **number)
    parser.add_argument("--jobs", default=os.cpu_count() or 1, **number)
    parser.add_argument("--seed", help="one walk, told in full", **number)
    parser.add_argument("--only", type=_numbers, help="of --seed: 3,17,20 or none")
    parser.add_argument(
        "--planted",
        nargs="?",
        const="all",
        metavar="NAME",
        help="plant a bug in the product, or each in turn, and look for it",
    )
    return parser


def _numbers(text: str) -> list[int]:
    return [] if text == "none" else [int(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
