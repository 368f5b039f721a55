"""Child processes that work in rounds.

A child says `null` when it is ready; then for each line of JSON on its stdin it works
once and answers with one line of JSON. It ends when its stdin ends.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROJECT = Path(__file__).parent.parent
READY_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Worker:
    """A child running a module of this package: `python -m MODULE JSON`."""

    def __init__(self, module: str, given: Mapping[str, Any]) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
        )
        self.hear(READY_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, within_s: float) -> Any:
        """What it says next. Raises `RuntimeError` if it ends or is too late."""
        pipe = self._process.stdout
        assert pipe is not None
        if not select.select([pipe], [], [], within_s)[0]:
            raise RuntimeError(f"{self._module} said nothing for {within_s:g} s")
        line = pipe.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        reap(self._process, 5)
        self._process.stdout.close()


def reap(process: subprocess.Popen[bytes], within_s: float) -> None:
    """Wait for the end of a process, and make it if it is late."""
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(work: Callable[[dict[str, Any]], Any]) -> None:
    """The child's side: be ready, then work whenever told to."""
    _say(None)
    for line in sys.stdin:
        _say(work(json.loads(line)))


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_bytes(pid: int) -> int:
    """Memory that a process has in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
