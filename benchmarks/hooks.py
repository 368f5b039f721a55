"""`ipcbus hook` as whole processes: `python -m benchmarks.hooks`.

What a session of an AI waits for at each event: without a broker, without news, with a
message to show, and with one to ack. In turns with `python -c pass`, below which no
program in Python can come.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

import ipcbus
from benchmarks.figures import table, write
from ipcbus import networks
from ipcbus.transport import launch

FLOOR = "python -c pass"
_SCRIPT = Path(sys.executable).with_name("ipcbus")
_PROGRAM = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "ipcbus"]
_STDIN = json.dumps({"session_id": "bench", "hook_event_name": "PostToolBatch"})

Times = dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks")
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args(arguments)
    home = tempfile.mkdtemp(prefix="ipcbus-hooks-")
    os.environ["IPCBUS_HOME"] = home
    # Users have compiled files; a developer's shell may forbid to write them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    networks.create("idle")
    network = networks.create("bench")
    launch.start(network)
    try:
        with ipcbus.connect("bench", agent="alice") as alice:
            ipcbus.connect("bench", agent="bob").close()
            times = measure(
                lambda: alice.send("bob", "the build is green"), given.rounds
            )
    finally:
        launch.stop(network, force=True)
        shutil.rmtree(home)
    print(show(times))
    print(f"\nwritten: {write('hooks', {'ms': times})}")


def measure(send: Callable[[], object], rounds: int) -> Times:
    """Milliseconds of each, in turns, after one round that does not count."""
    times: Times = {}
    for at in range(rounds + 1):
        found = {
            FLOOR: _run([sys.executable, "-c", "pass"], shows=False),
            "no broker": _hook("idle", shows=False),
            "no news": _hook("bench", shows=False),
        }
        send()
        found["a message to show"] = _hook("bench", shows=True)
        found["one to ack, no news"] = _hook("bench", shows=False)
        for name, took in found.items() if at else ():
            times.setdefault(name, []).append(took)
    return times


def _hook(network: str, *, shows: bool) -> float:
    line = ["hook", "claude", "PostToolBatch", "--network", network, "--as", "bob"]
    return _run([*_PROGRAM, *line], shows=shows)


def _run(command: Sequence[str], *, shows: bool) -> float:
    began = time.monotonic()
    done = subprocess.run(command, input=_STDIN, text=True, check=True, stdout=-1)
    took = (time.monotonic() - began) * 1000
    if bool(done.stdout) != shows:
        print(f"{command}: said {done.stdout!r}", file=sys.stderr)
    return took


def show(times: Times) -> str:
    rows = []
    for name, found in times.items():
        cuts = quantiles(found, n=100, method="inclusive")
        rows.append([name, *(f"{cuts[at - 1]:.1f}" for at in (50, 90, 99))])
    return table(["whole process, ms", "p50", "p90", "p99"], rows)


if __name__ == "__main__":
    main()
