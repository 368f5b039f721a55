"""All targets, each in a process of its own, as many at once as there are cores."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.engines import LAST

GRACE_S: Final = 60.0
"""For a process to start, try what it has kept, and end."""

_COUNTS: Final = re.compile(rf"^{LAST}(\d+)$|^Done (\d+) runs", re.MULTILINE)


class Result(NamedTuple):
    """What one target came to."""

    name: str
    inputs: int
    seconds: float
    finds: int


def run(
    names: Sequence[str],
    engine: str,
    seconds: float,
    folder: Path,
    seed: int,
    jobs: int,
    scratch: Path,
) -> int:
    """Fuzz for `seconds` of a clock on the wall; 1 if there are finds."""
    each = seconds * min(jobs, len(names)) / len(names)

    def one(name: str) -> Result:
        command = [sys.executable, "-m", "tests.fuzz", "--only", name]
        command += ["--engine", engine, "--seconds", str(each), "--seed", str(seed)]
        return _one(name, [*command, "--corpus", str(folder)], each, folder, scratch)

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, names))
    print(table(results))
    return 1 if any(result.finds for result in results) else 0


def _one(
    name: str, command: list[str], seconds: float, folder: Path, scratch: Path
) -> Result:
    begin = time.monotonic()
    before = _saved(folder, name)
    path = os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": path}
    try:
        ended = subprocess.run(
            command,
            env=env,
            timeout=seconds + GRACE_S,
            text=True,
            errors="replace",
            capture_output=True,
            check=False,
        )
        said, failed = ended.stdout + ended.stderr, ended.returncode != 0
    except subprocess.TimeoutExpired:
        said, failed = f"FIND in {name}: a parser did not end", True
    told = [block for block in said.split("\nFIND ") if "again: python" in block]
    for block in told:
        lines = [line for line in block.splitlines() if line.strip()][:4]
        print("\n".join(["FIND " + lines[0].removeprefix("FIND "), *lines[1:]]))
    fresh = _saved(folder, name) - before
    if failed and not told:
        print(f"{name} ended before its time:\n{said[-2000:]}", flush=True)
    counts = _COUNTS.findall(said)
    inputs = int(counts[-1][0] or counts[-1][1]) if counts else 0
    found = max(len(told), len(fresh), int(failed))
    return Result(name, inputs, time.monotonic() - begin, found)


def _saved(folder: Path, name: str) -> set[str]:
    finds = folder / f"{name}.finds"
    return {path.name for path in finds.iterdir()} if finds.is_dir() else set()


def table(results: Sequence[Result]) -> str:
    rows = [f"{'target':16}{'inputs':>12}{'inputs/s':>12}{'finds':>8}"]
    for name, inputs, seconds, finds in results:
        rate = inputs / seconds if seconds else 0
        rows.append(f"{name:16}{inputs:12,}{rate:12,.0f}{finds:8}")
    return "\n".join(rows)
