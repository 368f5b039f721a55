"""A broker on a disk that fails: `python failing_broker.py NETWORK TRIGGER OPERATION`.

From the moment the file TRIGGER exists, every `write` or `sync` of the database's
files (WAL included) is an I/O error.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import apsw

from ipcbus.transport import serve


class FailingFile(apsw.VFSFile):
    def __init__(self, vfs: FailingVFS, name: str, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__(vfs.base_name, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._vfs.fail("write", apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        # What was written is on the disk, maybe: the worst case for a broker that
        # would take a failed commit for one that did not happen.
        super().xSync(flags)
        self._vfs.fail("sync", apsw.SQLITE_IOERR_FSYNC)


class FailingVFS(apsw.VFS):
    """Becomes the default one, so that nobody need be told of it."""

    def __init__(self, trigger: Path, operation: str) -> None:
        self._trigger = trigger
        self._operation = operation
        self.base_name = apsw.vfs_names()[0]
        super().__init__("failing", self.base_name, makedefault=True)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]):  # type: ignore[no-untyped-def]
        return FailingFile(self, name, flags)  # type: ignore[arg-type]

    def fail(self, operation: str, code: int) -> None:
        if operation == self._operation and self._trigger.exists():
            error = apsw.IOError(f"planted: {operation}")
            error.extendedresult = code  # type: ignore[attr-defined] # apsw reads it
            raise error


def main(network: str, trigger: str, operation: str) -> int:
    vfs = FailingVFS(Path(trigger), operation)
    code = serve.main([network])
    del vfs
    return code


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
