"""Where the time of a one-shot command goes: `run` has one tell the time on its way.

The command runs in this file, as a script: it wraps what divides the parts, does all
else as `ipcbus` does, and says when it came by on a pipe before it ends.
"""

from __future__ import annotations

import time

_UP = time.monotonic()

# ruff: noqa: E402 - the clock is read before anything else is loaded

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

PARTS = (
    "interpreter starts",
    "modules are loaded",
    "connect: files, handshake, welcome",
    "exchange: question, answer, output",
    "end: goodbye, process",
)


def run(line: Sequence[str]) -> dict[str, float]:
    """Milliseconds of each part of `ipcbus LINE`."""
    import subprocess  # not in the command

    read, write = os.pipe()
    began = time.monotonic()
    subprocess.run(
        [sys.executable, __file__, str(write), *line],
        check=True,
        stdout=subprocess.DEVNULL,
        pass_fds=[write],
    )
    ended = time.monotonic()
    os.close(write)
    with os.fdopen(read) as pipe:
        marks = [began, *map(float, pipe.read().split()), ended]
    steps = zip(PARTS, marks, marks[1:], strict=False)
    return {part: (after - before) * 1000 for part, before, after in steps}


def _main(fd: int) -> None:
    marks = [_UP]

    def marking(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
        def marked(*args: Any, **options: Any) -> Any:
            if before:
                marks.append(time.monotonic())
            found = call(*args, **options)
            marks.append(time.monotonic())
            return found

        return marked

    from ipcbus.doors.cli import app, quick

    def load(module: str, name: str, real: Callable[..., Any] = quick.load) -> Any:
        found = real(module, name)
        session = vars(sys.modules["ipcbus.doors.cli.session"])
        session["connect"] = marking(session["connect"], before=True)
        return found

    def leave(code: int, real: Callable[[int], Any] = os._exit) -> None:
        os.write(fd, " ".join(map(str, marks)).encode())
        real(code)

    quick.load = load
    app.run = marking(app.run, before=False)
    os._exit = leave  # type: ignore[assignment]
    app.main()


if __name__ == "__main__":
    descriptor = int(sys.argv.pop(1))
    # As for the program itself; a script's folder comes first, and is no package.
    sys.path[0] = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    _main(descriptor)
