"""A store in dictionaries: nothing outlives the process; see `store.py`."""

from ipcbus.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
