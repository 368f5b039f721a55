"""`ipcbus send`, `check` and `wait` as whole processes: `python -m benchmarks.oneshot`.

In turns with `python -c "import zmq, click"`, which is what the libraries take that
they are made with. check and wait find a message each, print it and ack it. A ratio is
that of the two processes of one round. `--parts` also tells where the time goes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipcbus
from benchmarks import oneshot_parts
from benchmarks.figures import figure, table, write
from ipcbus import networks
from ipcbus.transport import launch

FLOOR = "import zmq, click"
_SCRIPT = Path(sys.executable).with_name("ipcbus")
_PROGRAM = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "ipcbus"]
_AT = ("--network", "bench", "--json", "--as")
LINES: Mapping[str, tuple[str, ...]] = {
    "ipcbus send": ("send", "bob", "the build is green", *_AT, "alice"),
    "ipcbus check": ("check", *_AT, "bob"),
    "ipcbus wait": ("wait", *_AT, "bob"),
}

Times = dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oneshot")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--parts", action="store_true", help="where the time goes")
    given = parser.parse_args(arguments)
    home = tempfile.mkdtemp(prefix="ipcbus-oneshot-")
    os.environ["IPCBUS_HOME"] = home
    # Users have compiled files; a developer's shell may forbid to write them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    network = networks.create("bench")
    launch.start(network)
    try:
        with ipcbus.connect("bench", agent="alice") as alice:
            ipcbus.connect("bench", agent="bob").close()
            times = measure(alice, given.rounds)
            shares = measure_parts(alice, given.rounds) if given.parts else {}
    finally:
        launch.stop(network, force=True)
        shutil.rmtree(home)
    print(show(times))
    if shares:
        print("\n" + show_parts(shares))
    print(f"\nwritten: {write('oneshot', {'ms': times, 'parts_ms': shares})}")


def measure(alice: ipcbus.Client, rounds: int) -> Times:
    """Milliseconds of each, in turns, after one round that does not count."""
    times: Times = {FLOOR: [], **{name: [] for name in LINES}}
    for _ in range(rounds + 1):
        times[FLOOR].append(_run([sys.executable, "-c", FLOOR]))
        for name, line in LINES.items():
            _prepare(alice, name)
            times[name].append(_run([*_PROGRAM, *line]))
    return {name: found[1:] for name, found in times.items()}


def measure_parts(alice: ipcbus.Client, rounds: int) -> dict[str, Times]:
    """Milliseconds of each part of each, likewise."""
    shares: dict[str, Times] = {}
    for at in range(rounds + 1):
        for name, line in LINES.items():
            _prepare(alice, name)
            found = oneshot_parts.run(line)
            for part, took in found.items() if at else ():
                shares.setdefault(name, {}).setdefault(part, []).append(took)
    return shares


def _prepare(alice: ipcbus.Client, name: str) -> None:
    """What `check` finds was sent by `send`, the line before it."""
    if name == "ipcbus wait":
        alice.send("bob", "the build is green")


def _run(command: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


def show(times: Times) -> str:
    rows = []
    for name, found in times.items():
        pairs = zip(found, times[FLOOR], strict=True)
        ratio = figure([took / floor for took, floor in pairs])
        rows.append([name, figure(found).text(1), ratio.text(2)])
    return table(["whole process", "ms, median (range)", "ratio (range)"], rows)


def show_parts(shares: Mapping[str, Times]) -> str:
    rows = [
        [part, *(figure(times[part]).text(1) for times in shares.values())]
        for part in oneshot_parts.PARTS
    ]
    return table(["part, ms", *shares], rows)


if __name__ == "__main__":
    main()
