"""What SQLite alone does here: the least that a durable queue must write.

One transaction stores as many rows as are under way in the case and deletes those of
the transaction before. WAL, synchronous FULL, exclusive locking, a WAL that has its
size: the settings of the bus.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import apsw

from benchmarks.bus import ANSWER_S
from benchmarks.cases import FLYING_BYTES, Case
from benchmarks.figures import percentile
from benchmarks.workers import Worker, serve

MOST_ROWS = 4096


class Commits:
    """One case's database, in a process of its own."""

    def __init__(self, case: Case, folder: Path | None) -> None:
        self._stack = ExitStack()
        home = tempfile.mkdtemp(prefix="ipcbus-commits-", dir=folder)
        self._stack.callback(shutil.rmtree, home)
        given = {"case": case, "path": f"{home}/raw.db"}
        try:
            self._worker = self._stack.enter_context(
                Worker("benchmarks.commits", given)
            )
        except BaseException:
            self.close()
            raise

    def round(self, seconds: float) -> dict[str, float]:
        self._worker.go({"seconds": seconds})
        told: dict[str, float] = self._worker.hear(seconds + ANSWER_S)
        return told

    def close(self) -> None:
        self._stack.close()


def rows_of(case: Case) -> int:
    """Rows of one transaction."""
    most = min(MOST_ROWS, FLYING_BYTES // case.size)
    return max(1, min(most, case.flying * case.pairs))


def _open(path: str) -> apsw.Connection:
    db = apsw.Connection(path)
    # One by one: of several statements in a string only those up to the first row run.
    db.pragma("locking_mode", "EXCLUSIVE")
    assert db.pragma("journal_mode", "WAL") == "wal"
    db.pragma("synchronous", "FULL")
    db.pragma("cache_size", -16384)
    db.execute("CREATE TABLE m(seq INTEGER PRIMARY KEY, header BLOB, body BLOB)")
    db.execute("INSERT INTO m VALUES(0, '', zeroblob(8388608))")
    db.execute("DELETE FROM m")
    return db


def main(case: Case, path: str) -> None:
    db = _open(path)
    rows, header, body = rows_of(case), b"h" * 100, b"b" * case.size
    seq = 0

    def work(order: dict[str, Any]) -> dict[str, float]:
        nonlocal seq
        began, count, samples = time.monotonic(), 0, []
        while (at := time.monotonic()) < began + order["seconds"]:
            fresh = [(n, header, body) for n in range(seq, seq + rows)]
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO m VALUES(?, ?, ?)", fresh)
            db.execute("DELETE FROM m WHERE seq < ?", (seq,))
            db.execute("COMMIT")
            samples.append(time.monotonic() - at)
            seq += rows
            count += rows
        rate = count / (time.monotonic() - began)
        return {"rate": rate, "confirm_p50_us": percentile(samples, 0.5) * 1e6}

    serve(work)
    db.close()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(Case(*given["case"]), given["path"])
