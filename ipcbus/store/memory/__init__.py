"""A store in dictionaries, for tests and simulations; see `store.py`."""

from ipcbus.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
