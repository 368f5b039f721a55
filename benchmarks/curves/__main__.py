"""Measure, print, write down, draw: see the package."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.curves import agents, backlog, broadcast, connections, networks, topics
from benchmarks.curves.curve import Curve, Options
from benchmarks.figures import write

SUBJECTS: dict[str, Callable[[Options], Curve]] = {
    "agents": agents.measure,
    "connections": connections.measure,
    "backlog": backlog.measure,
    "networks": networks.measure,
    "topics": topics.measure,
    "broadcast": broadcast.measure,
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _given(arguments)
    curves = [_read(path) for path in given.redraw or ()]
    for name in [] if given.redraw else given.only or list(SUBJECTS):
        began = time.monotonic()
        print(f"{name} ...", flush=True)
        curve = SUBJECTS[name](Options(given.folder, given.quick))
        curves.append(curve)
        print(f"\n{curve.text()}\n  ({time.monotonic() - began:.0f} s)\n", flush=True)
        print(f"written: {write(f'curve-{name}', curve.as_json())}\n", flush=True)
    if given.pictures:
        from benchmarks.curves.pictures import draw

        path = given.pictures / "performance-curves.svg"
        draw(curves, path)
        print(f"drawn: {path}")


def _read(path: Path) -> Curve:
    return Curve.of_json(json.loads(path.read_text()))


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves")
    parser.add_argument(
        "--only", action="append", choices=SUBJECTS, help="may be given again"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth, in two rounds")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw them too")
    parser.add_argument(
        "--redraw", type=Path, nargs="+", metavar="JSON", help="results to draw again"
    )
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
