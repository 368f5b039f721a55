"""What ZeroMQ and SQLite alone do: `benchmarks.relay`, and the table of the bare loop
with nobody around it."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.bus import ANSWER_S
from benchmarks.cases import Case
from benchmarks.figures import percentile
from benchmarks.peers.bareloop import Table
from benchmarks.peers.base import PLAIN_BODY, SIZE, Job
from benchmarks.relay import Relay
from benchmarks.workers import Worker, serve


def relay(job: Job, folder: Path | None) -> Relay:
    """A message a frame, each confirmed and acked."""
    return Relay(Case(job.pairs, SIZE, job.window, plain=True))


class Commits:
    """A transaction of as many rows as may be under way, which also deletes those of
    the one before; in a process of its own."""

    def __init__(self, job: Job, folder: Path | None) -> None:
        with ExitStack() as stack:
            home = tempfile.mkdtemp(prefix="ipcbus-commits-", dir=folder)
            stack.callback(shutil.rmtree, home)
            given = {"path": f"{home}/raw.db", "rows": job.window}
            worker = Worker("benchmarks.peers.floors", given)
            self._worker = stack.enter_context(worker)
            self._stack = stack.pop_all()

    def round(self, seconds: float) -> dict[str, float]:
        self._worker.go({"seconds": seconds})
        told: dict[str, float] = self._worker.hear(seconds + ANSWER_S)
        return told

    def close(self) -> None:
        self._stack.close()


Floor = Callable[[Job, Path | None], Relay | Commits]


def main(path: str, rows: int) -> None:
    table, seq = Table(path), 0

    def work(order: dict[str, Any]) -> dict[str, float]:
        nonlocal seq
        began, samples = time.monotonic(), list[float]()
        while (at := time.monotonic()) < began + order["seconds"]:
            fresh = [(n, b"r0", PLAIN_BODY) for n in range(seq + 1, seq + rows + 1)]
            table.commit(fresh, [(seq - rows + 1, seq)])
            samples.append(time.monotonic() - at)
            seq += rows
        return {
            "rate": len(samples) * rows / (time.monotonic() - began),
            "confirm_p50_us": percentile(samples, 0.5) * 1e6,
            "confirm_p99_us": percentile(samples, 0.99) * 1e6,
        }

    serve(work)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
