"""`ipcbus send --json` as a whole process: `python -m benchmarks.oneshot`.

Next to `python -c "import zmq, click"`, which is what it cannot do without, in turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ipcbus
from benchmarks.figures import figure, write
from ipcbus import networks
from ipcbus.transport import launch

FLOOR = [sys.executable, "-c", "import zmq, click"]
_SCRIPT = Path(sys.executable).with_name("ipcbus")
SEND = [
    *([str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "ipcbus"]),
    *("send", "bob", "the build is green"),
    *("--network", "bench", "--as", "alice", "--json"),
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oneshot")
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args(arguments).rounds
    home = tempfile.mkdtemp(prefix="ipcbus-oneshot-")
    os.environ["IPCBUS_HOME"] = home
    # Users have compiled files; a developer's shell may forbid to write them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    network = networks.create("bench")
    launch.start(network)
    try:
        for agent in ("alice", "bob"):
            ipcbus.connect("bench", agent=agent).close()
        floor, send = measure(rounds)
    finally:
        launch.stop(network, force=True)
        shutil.rmtree(home)
    ratio = figure(send).median / figure(floor).median
    print(f'python -c "import zmq, click"  {figure(floor).text(1)} ms')
    print(f"ipcbus send --json             {figure(send).text(1)} ms")
    print(f"ratio of the medians           {ratio:.2f}")
    print(f"written: {write('oneshot', {'floor_ms': floor, 'send_ms': send})}")


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of both, in turns, after one of each that does not count."""
    floor, send = [], []
    for _ in range(rounds + 1):
        floor.append(_run(FLOOR))
        send.append(_run(SEND))
    return floor[1:], send[1:]


def _run(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    main()
