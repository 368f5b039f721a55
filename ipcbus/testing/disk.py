"""A disk that fails as disks do: with an error, with no room, with the power.

    disk = FakeDisk()
    bus = MemoryBroker(clock, store=disk)
    disk.fail(Fault.SYNC)      the next commit that writes anything is an I/O error
    disk.run_out(3)            there is no room for the third write from now on
    disk.fill()                full: sends are refused, acks go on
    disk.power_cut()           what was not synced is gone

    disk.usurp()               another broker has it: this one is fenced

It is the store in memory, and the rules are those of `ipcbus.store.base`. A process
that dies takes with it the transaction that is open, no more: what was committed is in
the hands of the kernel. A power cut takes all that was not synced. Of a disk that is
honest these are the same, for `commit` syncs; of one that says so and does not
(`syncs=False`, and many cheap ones) they are not, and no program can do anything
about it.
"""

from __future__ import annotations

from enum import Enum

from ipcbus.errors import StoreFailed, StoreFull
from ipcbus.store.memory import MemoryStore
from ipcbus.store.memory.store import STORE_BYTES
from ipcbus.store.memory.tables import Undo, undo_all
from ipcbus.store.records import Snapshot


class Fault(Enum):
    """Where the disk fails."""

    WRITE = "write"
    """In the middle of a transaction."""

    COMMIT = "commit"
    """At its end: nothing of it is on the disk."""

    SYNC = "sync"
    """At its end: all of it is on the disk, but nobody can know."""


class FakeDisk(MemoryStore):
    """A `Store` whose disk is in the hands of a test.

    Args:
        network: named in errors.
        syncs: whether a sync does what it says.

    Attributes:
        failed: there was an I/O error; nothing works until the next `open`.
        taken: transactions that power cuts have taken back although they had been
            committed.
    """

    def __init__(self, *, network: str = "test", syncs: bool = True) -> None:
        super().__init__(network=network)
        self.syncs = syncs
        self.failed = False
        self.taken = 0
        self._unsynced: list[Undo] = []
        self._fault: Fault | None = None
        self._error: type[StoreFailed | StoreFull] = StoreFailed
        self._writes_left = 0
        self._check_epoch = self._state.check_fence
        self._state.check_fence = self._before_write

    # --- what a test does to it ----------------------------------------------

    def fail(self, at: Fault, writes: int = 1) -> None:
        """An I/O error, once: at the `writes`-th write from now, or at the end of the
        next transaction that writes."""
        self._fault, self._error, self._writes_left = at, StoreFailed, writes

    def run_out(self, writes: int = 1) -> None:
        """No room in the middle of a turn, once, although `room` had promised it."""
        self._fault, self._error, self._writes_left = Fault.WRITE, StoreFull, writes

    def fill(self, left: int = 0) -> None:
        """Something else takes all room, but for so many bytes."""
        self._state.limit = self._state.used + left

    def free(self) -> None:
        """There is room again."""
        self._state.limit = STORE_BYTES

    @property
    def is_full(self) -> bool:
        return self._state.limit < STORE_BYTES

    def heal(self) -> None:
        """Nothing fails from now on."""
        self._fault = None
        self.free()

    def power_cut(self) -> None:
        """All that was not synced is gone, and so is whoever had it open."""
        self.close()
        self.taken += len(self._unsynced)
        while self._unsynced:
            undo_all(self._unsynced.pop())

    def waiting(self) -> int:
        """Messages in all mailboxes, as the next broker would find them."""
        return sum(total.messages for total in self._state.totals.values())

    # --- what it does to its broker ------------------------------------------

    def open(self) -> Snapshot:
        self.failed = False
        return super().open()

    def begin(self) -> None:
        if self.failed:
            raise StoreFailed(reason="there was an I/O error before")
        super().begin()

    def commit(self) -> None:
        written = self._state.undo[:]
        assert not written or self._ours == self._state.epoch, (
            "a fenced one has written"
        )
        if written and self._fault is Fault.COMMIT:
            self.rollback()
            raise self._broken()
        super().commit()
        if not written:
            return
        self._unsynced.append(written)
        self.sync()
        if self._fault is Fault.SYNC:
            raise self._broken()

    def sync(self) -> None:
        """What was committed outlives a power cut."""
        if self.syncs:
            self._unsynced.clear()

    def _before_write(self) -> None:
        self._check_epoch()
        if self._fault is Fault.WRITE:
            self._writes_left -= 1
            if self._writes_left <= 0:
                self.rollback()
                raise self._broken()

    def _broken(self) -> StoreFailed | StoreFull:
        self._fault = None
        if self._error is StoreFull:
            return StoreFull(network=self._state.network)
        self.failed = True
        return StoreFailed(reason="I/O error (planted)")
