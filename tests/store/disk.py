"""A disk that can fail, fill up, and lose what was not synced: a VFS of apsw.

    disk = FaultyDisk("name")            registers itself; SqliteStore(..., vfs="name")
    disk.fail_at("write", 3, apsw.IOError)   the third write from now on raises
    disk.power_cut(folder, chance)       writes what would be on the disk after one

It looks at the database and its WAL alone. Of what was written after the last sync of
a file, a power cut keeps any part, page by page, as the chance given decides; of what
was synced, all.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import apsw


class FaultyDisk(apsw.VFS):
    """Counts, fails, and remembers what is durable.

    Attributes:
        counts: calls so far of `write`, `sync` and `truncate`.
        durable: content of each file as of its last sync, by name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.durable: dict[str, bytearray] = {}
        self.unsynced: dict[str, list[tuple[int, bytes | None]]] = {}
        self._faults: dict[tuple[str, int], type[apsw.Error]] = {}
        self._from: dict[str, type[apsw.Error]] = {}
        super().__init__(name, "")

    def fail_at(self, what: str, turn: int, error: type[apsw.Error]) -> None:
        """The `turn`th call from now on raises, once."""
        self._faults[what, self.counts[what] + turn] = error

    def fail_all(self, what: str, error: type[apsw.Error]) -> None:
        """Every call from now on raises."""
        self._from[what] = error

    def heal(self) -> None:
        self._faults.clear()
        self._from.clear()

    def happens(self, what: str) -> None:
        self.counts[what] += 1
        error = self._faults.pop((what, self.counts[what]), self._from.get(what))
        if error is not None:
            raise error(f"injected at {what} {self.counts[what]}")

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:
        return FaultyFile(self, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        """Durable at once; so goes the rollback journal of the very first turn."""
        super().xDelete(name, sync)
        self.durable.pop(Path(name).name, None)

    def power_cut(self, folder: Path, chance: random.Random) -> None:
        """Write each file as it might be found after one."""
        for name, content in self.durable.items():
            found = bytearray(content)
            for offset, data in self.unsynced[name]:
                if chance.random() < 0.5:
                    apply(found, offset, data)
            path = folder / name
            path.write_bytes(found)
            path.chmod(0o600)


class FaultyFile(apsw.VFSFile):
    """One file on it."""

    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.file = Path(text).name
        disk.durable.setdefault(self.file, bytearray())
        disk.unsynced.setdefault(self.file, [])
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.disk.happens("write")
        super().xWrite(data, offset)
        self.disk.unsynced[self.file].append((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        self.disk.happens("truncate")
        super().xTruncate(size)
        self.disk.unsynced[self.file].append((size, None))

    def xSync(self, flags: int) -> None:
        self.disk.happens("sync")
        super().xSync(flags)
        for offset, data in self.disk.unsynced[self.file]:
            apply(self.disk.durable[self.file], offset, data)
        self.disk.unsynced[self.file].clear()


def apply(content: bytearray, offset: int, data: bytes | None) -> None:
    """Carry out a write, or (without data) a truncation to `offset`."""
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
