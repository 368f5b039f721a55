"""Dictionaries that can be rolled back: what the memory store is made of. PURE.

Whatever is done to many rows at once is one step of the undo log, and is left to the
loops of dict itself, so that a row costs some tens of nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from operator import lt
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Undo = list[tuple["Table[Any, Any]", dict[Any, Any]]]
"""What was changed in a transaction: table, and its values before, or `_GONE`."""

_GONE: Any = object()

FEWEST_GONE = 32
"""Deleted keys that a `SortedTable` keeps at least before it clears them away."""


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

    def has_none_of(self, keys: Iterable[K]) -> bool:
        return self._rows.keys().isdisjoint(keys)

    def values(self) -> list[V]:
        """In the order of their keys."""
        return [self._rows[key] for key in self.in_order()]

    def in_order(self) -> list[K]:
        return sorted(self._rows)  # type: ignore[type-var]

    def put(self, key: K, value: V) -> None:
        self.put_all({key: value})

    def put_all(self, new: Mapping[K, V]) -> None:
        rows = self._rows
        self._undo.append((self, {key: rows.get(key, _GONE) for key in new}))
        self._set(new)

    def add(self, new: Mapping[K, V]) -> None:
        """Put rows none of which is there, in the order of their keys."""
        self._undo.append((self, dict.fromkeys(new, _GONE)))
        self._come(list(new))
        self._rows.update(new)

    def pop(self, key: K) -> V | None:
        """Remove; None if it was not there."""
        return self.pop_all((key,)).get(key)

    def pop_all(self, keys: Iterable[K]) -> dict[K, V]:
        """Remove those that are there."""
        rows = self._rows
        old = {key: rows[key] for key in keys if key in rows}
        if old:
            self._undo.append((self, old))
            self._delete(old)
        return old

    def restore(self, old: dict[K, V]) -> None:
        """Undo a change."""
        if gone := [key for key in old if old[key] is _GONE and key in self._rows]:
            self._delete(gone)
        self._set({key: value for key, value in old.items() if value is not _GONE})

    def _set(self, new: Mapping[K, V]) -> None:
        self._come([key for key in new if key not in self._rows])
        self._rows.update(new)

    def _come(self, keys: list[K]) -> None:
        """Keys that are not there are about to come."""

    def _delete(self, keys: Iterable[K]) -> None:
        for key in keys:
            del self._rows[key]


class SortedTable(Table[K, V]):
    """One that can be read in the order of its keys. Cheap where new keys are higher
    than all before, as those of mail are.

    Invariant: `_order` has, in order and once, every key that is there, and `_gone`
    that are there no more; before `_start` are only such. They are cleared away when
    they are the most.
    """

    def __init__(self, undo: Undo) -> None:
        super().__init__(undo)
        self._order: list[Any] = []
        self._gone = 0
        self._start = 0

    def in_order(self) -> list[K]:
        return [key for key in self._order if key in self._rows]

    def after(self, key: Any) -> Iterator[K]:
        """The keys that are greater, in order; do not write meanwhile."""
        at = max(bisect_right(self._order, key), self._start)
        return (k for k in self._since(at) if k in self._rows)

    def before(self, key: Any) -> Iterator[K]:
        """The keys that are lower, the highest first; do not write meanwhile."""
        end = bisect_left(self._order, key)
        order = self._order
        keys = (order[at] for at in range(end - 1, self._start - 1, -1))
        return (k for k in keys if k in self._rows)

    def first(self) -> K | None:
        while self._start < len(self._order):
            key: K = self._order[self._start]
            if key in self._rows:
                return key
            self._start += 1
        return None

    def last(self) -> K | None:
        while self._order:
            key: K = self._order[-1]
            if key in self._rows:
                return key
            self._order.pop()
            self._gone -= 1
            self._start = min(self._start, len(self._order))
        return None

    def _since(self, at: int) -> Iterator[K]:
        for one in range(at, len(self._order)):
            yield self._order[one]

    def _come(self, keys: list[Any]) -> None:
        order = self._order
        if keys and (not order or keys[0] > order[-1]) and _rise(keys):
            order += keys
        else:
            for key in keys:
                self._enter(key)

    def _enter(self, key: Any) -> None:
        at = bisect_left(self._order, key)
        if at < len(self._order) and self._order[at] == key:
            self._gone -= 1
        else:
            self._order.insert(at, key)
        self._start = min(self._start, at)

    def _delete(self, keys: Iterable[K]) -> None:
        before = len(self._rows)
        super()._delete(keys)
        self._gone += before - len(self._rows)
        if self._gone > max(FEWEST_GONE, len(self._rows)):
            self._order = self.in_order()
            self._gone = self._start = 0


def _rise(keys: list[Any]) -> bool:
    return all(map(lt, keys, keys[1:]))


def undo_all(undo: Undo) -> None:
    """Roll back, last change first."""
    while undo:
        table, old = undo.pop()
        table.restore(old)
