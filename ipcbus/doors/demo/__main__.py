"""`python -m ipcbus.doors.demo`."""

from __future__ import annotations

import signal
import sys

from ipcbus.doors.demo.stage import main


def _end(number: int, frame: object) -> None:
    """So that what is told to end cleans up first."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for told in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(told, _end)
    sys.exit(main())
