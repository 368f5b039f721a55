"""A broker whose disk fails once: `python shaky_broker.py NETWORK TRIGGER ERROR TURN`.

From the moment the file TRIGGER exists, the TURNth write to the database's files (WAL
included) is refused once, with ERROR `EIO` or `ENOSPC`; all others are carried out.
TRIGGER.fired tells that it was.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import apsw

from ipcbus.transport import serve
from tests.faults.failing_broker import FailingVFS

ERRORS: dict[str, tuple[type[apsw.Error], int]] = {
    "EIO": (apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    "ENOSPC": (apsw.FullError, apsw.SQLITE_FULL),
}


class ShakyVFS(FailingVFS):
    """Counts the writes since the trigger, and fails one of them."""

    def __init__(self, trigger: Path, error: str, turn: int) -> None:
        self._left = turn
        self._error = ERRORS[error]
        self._file = trigger
        super().__init__(trigger, "write")

    def fail(self, operation: str, code: int) -> None:
        if operation != "write" or self._left == 0 or not self._file.exists():
            return
        self._left -= 1
        if self._left == 0:
            self._file.with_suffix(".fired").touch()
            kind, code = self._error
            error = kind("planted: write")
            error.extendedresult = code  # type: ignore[attr-defined] # apsw reads it
            raise error


def main(network: str, trigger: str, error: str, turn: str) -> int:
    vfs = ShakyVFS(Path(trigger), error, int(turn))
    code = serve.main([network])
    del vfs
    return code


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
