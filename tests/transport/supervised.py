"""A supervisor in a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Supervisor:
    """A supervisor process and what it said."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    def until(self, **wanted: Any) -> dict[str, Any]:
        """The next line that holds `wanted`; notes are searched for their text."""
        while True:
            line = self._line()
            assert line, f"it ended without {wanted}; it said {self.said}"
            said: dict[str, Any] = json.loads(line)
            self.said.append(said)
            if all(
                key in said and str(text) in str(said[key])
                for key, text in wanted.items()
            ):
                return said

    def ends(self) -> int:
        return self.process.wait(timeout=20)

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        assert ready, f"nothing came; it said {self.said}"
        return self.process.stdout.readline()


@contextmanager
def supervisor(*plans: str, grace: float = 10) -> Iterator[Supervisor]:
    program = [sys.executable, str(HERE / "supervisor.py"), str(grace), *plans]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, bufsize=0, env=environment
    ) as child:
        try:
            yield Supervisor(child)
        finally:
            if child.poll() is None:
                child.terminate()
