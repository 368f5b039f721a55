"""A broker that meets one fault: `python kth_broker.py NETWORK TRIGGER OPERATION`.

TRIGGER is a file that does not exist yet. Once it does, it says `FAULT TURN`, and the
TURNth `write` or `sync` (OPERATION) of the database's files from then on, WAL included,
meets the fault: `EIO` and `ENOSPC` are errors, `KILL` is the end of the process at the
worst moment: half of a write is done, or all of a sync and nobody knows. TRIGGER.fired
then has the time of it (monotonic).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import apsw

from ipcbus.transport import serve

ERRORS: dict[tuple[str, str], tuple[type[apsw.Error], int]] = {
    ("EIO", "write"): (apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    ("EIO", "sync"): (apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
    ("ENOSPC", "write"): (apsw.FullError, apsw.SQLITE_FULL),
    ("ENOSPC", "sync"): (apsw.FullError, apsw.SQLITE_FULL),
}


class KthFile(apsw.VFSFile):
    def __init__(self, vfs: KthVFS, name: str, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__(vfs.base_name, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._vfs.is_due("write"):
            if self._vfs.fault == "KILL":
                super().xWrite(data[: len(data) // 2], offset)
            self._vfs.strike("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        due = self._vfs.is_due("sync")
        super().xSync(flags)
        if due:
            self._vfs.strike("sync")


class KthVFS(apsw.VFS):
    """Becomes the default one, so that nobody need be told of it."""

    def __init__(self, trigger: Path, operation: str) -> None:
        self.fault = ""
        self._trigger = trigger
        self._operation = operation
        self._left = 0
        self.base_name = apsw.vfs_names()[0]
        super().__init__("kth", self.base_name, makedefault=True)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]):  # type: ignore[no-untyped-def]
        return KthFile(self, name, flags)  # type: ignore[arg-type]

    def is_due(self, operation: str) -> bool:
        """Count this one; whether it is the one."""
        if operation != self._operation or not self._armed():
            return False
        self._left -= 1
        return self._left == 0

    def _armed(self) -> bool:
        if not self.fault and self._trigger.exists():
            self.fault, turn = self._trigger.read_text().split()
            self._left = int(turn)
        return bool(self.fault)

    def strike(self, operation: str) -> None:
        fired = self._trigger.with_suffix(".fired")
        fired.write_text(repr(time.monotonic()))
        if self.fault == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        kind, code = ERRORS[self.fault, operation]
        error = kind(f"planted: {operation}")
        error.extendedresult = code  # type: ignore[attr-defined] # apsw reads it
        raise error


def main(network: str, trigger: str, operation: str) -> int:
    vfs = KthVFS(Path(trigger), operation)
    code = serve.main([network])
    del vfs
    return code


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
