"""A store in memory that several brokers have opened, as a disk may be.

A `MemoryStore` is one broker's view of its tables, and so is a `Seat`; but of these
there may be several on the same tables. The one that was opened last may write, and
the others are fenced.
"""

from __future__ import annotations

from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.memory.archive import MemoryArchive
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus.store.memory.mail import MemoryMail
from ipcbus.store.memory.parts import MemoryBlobs, MemoryRegistry


class Seat(MemoryStore):
    """Args:
    beside: whose tables it shares; None for tables of its own.
    """

    def __init__(self, network: str, beside: Seat | None = None) -> None:
        super().__init__(network=network)
        if beside is not None:
            self._state = beside._state
            self.mail = MemoryMail(self._state)
            self.registry = MemoryRegistry(self._state)
            self.crossings = MemoryCrossings(self._state)
            self.blobs = MemoryBlobs(self._state)
            self.archive = MemoryArchive(self._state)

    def begin(self) -> None:
        """Its own epoch is compared in the writes of its own transactions: of two
        brokers in one process never both are in one."""
        super().begin()
        self._state.check_fence = self._check_fence


def beside(name: str, store: Store) -> Store:
    """What another broker opens while this one believes that it serves."""
    assert isinstance(store, Seat)
    return Seat(name, store)
