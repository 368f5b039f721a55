"""Processes of a test: their output is read as it comes; each is ended by its pid."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

WAIT_S = 30.0
END_S = 10.0
"""Seconds from the polite signal to the other one."""


class Silent(Exception):
    """A program ended, or was silent too long, while a test waited for a word."""


class Process:
    """A program that goes on while the test looks at what it writes."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> None:
        self._said = b""
        self._ended = False
        self._news = threading.Condition()
        self._process = self._start(command, env, cwd)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._into, self._out_of = process.stdin.fileno(), process.stdout.fileno()
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def said(self) -> str:
        """All that it wrote so far."""
        with self._news:
            return self._said.decode(errors="replace")

    def write(self, text: str) -> None:
        os.write(self._into, text.encode())

    def wait_for(self, part: str, *, times: int = 1, within: float = WAIT_S) -> str:
        """All that it wrote, as soon as `part` stands in it so many times."""

        def there() -> bool:
            return self.said.count(part) >= times

        with self._news:
            self._news.wait_for(lambda: there() or self._ended, within)
            if there():
                return self.said
        raise Silent(f"{part!r} did not come; it wrote: {self.said[-3000:]}")

    def ended(self, within: float = WAIT_S) -> int:
        """Its exit code, as soon as it ends by itself."""
        return self._process.wait(within)

    def end(self) -> None:
        """End it politely, then by force; wait until it is gone."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._thread.join(END_S)
        self._process.stdout.close()

    def _read(self) -> None:
        """Until nobody has the other end any more."""
        while piece := self._piece():
            with self._news:
                self._said += piece
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _piece(self) -> bytes:
        return os.read(self._out_of, 65_536)
