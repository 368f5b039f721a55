"""Tables of the memory store: as a plain dict, and as if it had never been changed."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ipcbus.store.memory.tables import SortedTable, Undo, undo_all

KEYS = st.integers(0, 60)


class Tables(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.undo: Undo = []
        self.table: SortedTable[int, int] = SortedTable(self.undo)
        self.plain: dict[int, int] = {}
        self.committed: dict[int, int] = {}

    @rule(key=KEYS, value=KEYS)
    def put(self, key: int, value: int) -> None:
        self.table.put(key, value)
        self.plain[key] = value

    @rule(first=KEYS, count=st.integers(0, 50), value=KEYS)
    def put_many(self, first: int, count: int, value: int) -> None:
        new = dict.fromkeys(range(first, first + count), value)
        self.table.put_all(new)
        self.plain |= new

    @rule(keys=st.lists(KEYS, unique=True), value=KEYS)
    def add(self, keys: list[int], value: int) -> None:
        new = {key: value for key in sorted(keys) if key not in self.plain}
        self.table.add(new)
        self.plain |= new

    @rule(key=KEYS)
    def pop(self, key: int) -> None:
        assert self.table.pop(key) == self.plain.pop(key, None)

    @rule(first=KEYS, count=st.integers(0, 60))
    def pop_many(self, first: int, count: int) -> None:
        keys = range(first, first + count)
        found = self.table.pop_all(keys)
        there = {key: self.plain.pop(key) for key in keys if key in self.plain}
        assert found == there

    @rule()
    def commit(self) -> None:
        self.undo.clear()
        self.committed = dict(self.plain)

    @rule()
    def roll_back(self) -> None:
        undo_all(self.undo)
        self.plain = dict(self.committed)

    @rule(key=KEYS)
    def ask(self, key: int) -> None:
        there = sorted(self.plain)
        assert self.table.get(key) == self.plain.get(key)
        assert (key in self.table) == (key in self.plain)
        assert list(self.table.after(key)) == [k for k in there if k > key]
        assert list(self.table.before(key)) == [k for k in reversed(there) if k < key]
        assert self.table.first() == min(there, default=None)
        assert self.table.last() == max(there, default=None)
        assert self.table.has_none_of([key]) == (key not in self.plain)

    @invariant()
    def it_is_as_a_plain_dict(self) -> None:
        assert self.table.in_order() == sorted(self.plain)
        assert self.table.values() == [self.plain[key] for key in sorted(self.plain)]
        order, start = self.table._order, self.table._start
        assert order == sorted(set(order))
        assert self.table._gone == len(order) - len(self.plain)
        assert not any(key in self.table for key in order[:start])


TestTables = Tables.TestCase
