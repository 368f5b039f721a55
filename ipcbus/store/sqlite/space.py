"""How much room there is, and the ballast that keeps removals possible.

On a full disk SQLite can delete nothing: a DELETE first writes to the WAL. So a file
of no use, the ballast, lies beside the database. It goes when the disk is nearly
full, which leaves room for the acks that make more room, and it is made again when
there is plenty. Room for messages is counted as if the ballast were always there.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

LARGEST_UNIT: Final = 4 * MIB
SMALLEST_UNIT: Final = 128 * KIB

PLENTY: Final = 64 * MIB
"""Far more than one turn can bring."""


class Space:
    """The room of one database.

    Attributes:
        store_bytes: size that the database may reach, 0 for what the disk has.
        capacity: what it may have of an empty disk.
        unit: bytes of the ballast, and of the reserve that messages never take:
            4 MiB, or a sixteenth of a store or file system that is small.
        plenty: at the last commit the disk had so much room that bytes need not be
            counted before the next.
        wal_spare: bytes that a turn can write to the WAL before the file must grow.
    """

    def __init__(self, path: Path, ballast: Path | None, store_bytes: int) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._ballast = ballast
        self.has_ballast = ballast is not None and ballast.exists()
        self.store_bytes = store_bytes
        disk = os.statvfs(self._folder)
        self.capacity = disk.f_blocks * disk.f_frsize
        if store_bytes:
            self.capacity = min(self.capacity, store_bytes)
        self.plenty = False
        self.wal_spare = 0
        self.unit = max(SMALLEST_UNIT, min(LARGEST_UNIT, self.capacity // 16))

    def free(self) -> int:
        """Bytes of the file system that this user may still fill."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def room(
        self, pages: int, free_pages: int, page_size: int, *, ours: bool = False
    ) -> int:
        """Bytes of messages that fit, given the pages of the database. What is `ours`
        may take half of the reserve.

        Half of what there is: rows have keys, pages are never quite full, and a turn
        may remove and index as well. It is asked again before every turn, so nothing
        is wasted: the last byte is only approached in smaller steps.
        """
        reusable = free_pages * page_size
        reserve = self.unit // 2 if ours else self.unit
        space = self._disk_room(pages * page_size, reusable, reserve)
        if self.store_bytes:
            limit = self.store_bytes - (pages - free_pages) * page_size - reserve
            space = min(space, limit)
        return max(0, space // 2)

    def _disk_room(self, size: int, reusable: int, reserve: int) -> int:
        """What the disk has for messages.

        New content is written twice, to the WAL and at the next checkpoint to the
        database, unless it fills pages that the database has already. What the WAL
        holds and the file lacks is as good as taken. Free pages can be filled even
        when the disk is full, as much as the WAL takes without growing.
        """
        kept = reserve if self.has_ballast else reserve + self.unit
        owed = max(0, size - self._path.stat().st_size)
        spare = max(0, self.free() - kept - owed)
        return max(min(reusable, self.wal_spare), min(spare, (spare + reusable) // 2))

    def before_commit(self) -> None:
        """Drop the ballast if the disk is nearly full, so that removals succeed."""
        free = self.free()
        self.plenty = free > 4 * PLENTY and not self.store_bytes
        if free < self.unit // 2:
            self.drop_ballast()

    def drop_ballast(self) -> None:
        self.has_ballast = False
        if self._ballast is not None:
            self._ballast.unlink(missing_ok=True)

    def make_ballast(self) -> None:
        """Make the ballast if it is missing and the disk has plenty of room."""
        if self._ballast is None or self.has_ballast or self.free() < 4 * self.unit:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            fd = os.open(self._ballast, flags, 0o600)
            try:
                os.posix_fallocate(fd, 0, self.unit)
                self.has_ballast = True
            finally:
                os.close(fd)
        except OSError:
            # Another program was faster in filling the disk: go without, as after
            # a drop.
            with contextlib.suppress(OSError):
                self.drop_ballast()
