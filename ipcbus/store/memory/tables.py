"""Dictionaries that can be rolled back: what the memory store is made of. PURE."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Undo = list[tuple["Table[Any, Any]", Any, Any]]
"""What was changed in a transaction: table, key, and the value before, or `_GONE`."""

_GONE: Any = object()


class Table(Generic[K, V]):
    """A dict with an undo log that it shares with others."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._rows: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        return self._rows.get(key)

    def __getitem__(self, key: K) -> V:
        return self._rows[key]

    def __contains__(self, key: K) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> list[V]:
        """In the order of their keys."""
        return [self._rows[key] for key in self.in_order()]

    def in_order(self) -> list[K]:
        """In order."""
        return sorted(self._rows)  # type: ignore[type-var]

    def put(self, key: K, value: V) -> None:
        self._undo.append((self, key, self._rows.get(key, _GONE)))
        self._set(key, value)

    def pop(self, key: K) -> V | None:
        """Remove; None if it was not there."""
        if key not in self._rows:
            return None
        old = self._rows[key]
        self._undo.append((self, key, old))
        self._delete(key)
        return old

    def restore(self, key: K, old: V) -> None:
        if old is not _GONE:
            self._set(key, old)
        elif key in self._rows:
            self._delete(key)

    def _set(self, key: K, value: V) -> None:
        self._rows[key] = value

    def _delete(self, key: K) -> None:
        del self._rows[key]


class SortedTable(Table[K, V]):
    """One that is read in the order of its keys more often than it is written."""

    def __init__(self, undo: Undo) -> None:
        super().__init__(undo)
        self._order: list[Any] = []

    def in_order(self) -> list[K]:
        return self._order

    def after(self, key: Any) -> Iterator[V]:
        """The rows whose keys are greater, in order; do not write meanwhile."""
        for at in range(bisect_right(self._order, key), len(self._order)):
            yield self._rows[self._order[at]]

    def _set(self, key: K, value: V) -> None:
        if key not in self._rows:
            insort(self._order, key)
        super()._set(key, value)

    def _delete(self, key: K) -> None:
        del self._order[bisect_left(self._order, key)]
        super()._delete(key)


def undo_all(undo: Undo) -> None:
    """Roll back, last change first."""
    while undo:
        table, key, old = undo.pop()
        table.restore(key, old)
