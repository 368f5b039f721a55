"""A broker whose clocks a test sets: `python clocked_broker.py FILE NETWORK`.

FILE holds two numbers: seconds by which the system clock is ahead of the real one, and
seconds that the machine has slept. A machine that sleeps has its monotonic clock stand
still, so only the other two see that.
"""

from __future__ import annotations

import functools
import logging
import mmap
import os
import struct
import sys
import time
from pathlib import Path

from ipcbus.transport import clock, serve

CLOCKS = struct.Struct("<dd")


def set_clocks(file: Path, ahead: float, slept: float) -> None:
    """What a test does; a broker reads it each time that it wants to know the time."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(CLOCKS.pack(ahead, slept))


def main(file: str, name: str) -> int:
    with Path(file).open("rb") as opened:
        clocks = mmap.mmap(opened.fileno(), CLOCKS.size, access=mmap.ACCESS_READ)

    def system() -> float:
        ahead, slept = CLOCKS.unpack_from(clocks)
        return time.time() + float(ahead) + float(slept)

    def passed() -> float:
        return clock.elapsed() + float(CLOCKS.unpack_from(clocks)[1])

    serve.Clock = functools.partial(clock.Clock, system=system, passed=passed)  # type: ignore[attr-defined,assignment]
    return serve.main([name])


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
