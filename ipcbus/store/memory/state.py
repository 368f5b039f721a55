"""What a MemoryStore holds, and what its parts have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ipcbus.errors import StoreFull
from ipcbus.store.memory.tables import SortedTable, Table, Undo, undo_all
from ipcbus.store.records import (
    Agent,
    AgentKey,
    Alias,
    Audit,
    Entry,
    Key,
    LinkRow,
    Mailbox,
    ReplyGrant,
    Row,
    Subscription,
    fingerprint,
)

PLENTY: Final = 1 << 40


class Grave(NamedTuple):
    """A dead letter without its message."""

    entry: Entry
    code: str
    reason: str
    at: int


class Upload(NamedTuple):
    """An attachment. `unused_since` is 0 while in use, or not looked at yet."""

    size: int
    data: bytes
    sealed: int
    owner: int
    unused_since: int


class State:
    """The tables. Invariant: `used` is the bytes of all contents in them, once
    nothing is uncommitted; `recipients` has a row for each mailbox that a message
    was ever put into."""

    def __init__(self, network: str, capacity: int | None) -> None:
        self.network = network
        self.capacity = capacity
        self.epoch = 0
        self.check_fence: Callable[[], None] = lambda: None
        self.undo: Undo = []
        self.messages: SortedTable[int, Row] = SortedTable(self.undo)
        self.ids: Table[str, int] = Table(self.undo)
        self.pending: SortedTable[Key, Entry] = SortedTable(self.undo)
        self.dead: SortedTable[tuple[int, int, int], Grave] = SortedTable(self.undo)
        self.recipients: Table[int, tuple[int, ...]] = Table(self.undo)
        self.totals: Table[int, Mailbox] = Table(self.undo)
        self.agents: Table[int, Agent] = Table(self.undo)
        self.keys: Table[str, AgentKey] = Table(self.undo)
        self.aliases: Table[str, Alias] = Table(self.undo)
        self.subscriptions: Table[Subscription, Subscription] = Table(self.undo)
        self.link_rows: Table[int, LinkRow] = Table(self.undo)
        self.pins: Table[str, str] = Table(self.undo)
        self.grants: Table[tuple[str, str], ReplyGrant] = Table(self.undo)
        self.audit: SortedTable[int, Audit] = SortedTable(self.undo)
        self.counters: Table[int, dict[str, int]] = Table(self.undo)
        self.blobs: Table[str, Upload] = Table(self.undo)
        self.links: Table[tuple[int, str], bool] = Table(self.undo)
        self._numbers: Table[str, int] = Table(self.undo)

    # --- numbers that are rolled back too -------------------------------------

    @property
    def used(self) -> int:
        return self._numbers.get("used") or 0

    @property
    def purged_seq(self) -> int:
        return self._numbers.get("purged_seq") or 0

    @property
    def purged_wall(self) -> int:
        return self._numbers.get("purged_wall") or 0

    def use(self, size: int) -> None:
        """Take room, or give it back."""
        if size > self.room():
            self.roll_back()
            raise StoreFull(network=self.network)
        self._numbers.put("used", self.used + size)

    def room(self) -> int:
        if self.capacity is None:
            return PLENTY
        return max(0, self.capacity - self.used)

    def write(self) -> None:
        """To be called before any change."""
        self.check_fence()

    def roll_back(self) -> None:
        undo_all(self.undo)

    # --- messages and who has them --------------------------------------------

    def entries_of(self, row: Row) -> list[Entry]:
        """Where a message waits."""
        keys = (
            Key(mailbox, rank, row.seq)
            for mailbox in sorted(self.recipients.get(row.seq) or ())
            for rank in range(10)
        )
        return [self.pending[key] for key in keys if key in self.pending]

    def graves_of(self, row: Row) -> list[Grave]:
        """The dead letters that a message has left."""
        keys = (
            (row.seq, mailbox, rank)
            for mailbox in sorted(self.recipients.get(row.seq) or ())
            for rank in range(10)
        )
        return [self.dead[key] for key in keys if key in self.dead]

    def is_done(self, row: Row) -> bool:
        return not self.entries_of(row) and not self.graves_of(row)

    def strip(self, seq: int) -> None:
        """Take the content of a message that is done with."""
        row = self.messages.get(seq)
        if row is None or not row.header or not self.is_done(row):
            return
        self.use(-len(row.header) - len(row.body))
        mark = fingerprint(row.header, row.body)
        self.messages.put(seq, row._replace(header=b"", body=mark))
        self._unlink(seq)

    def purge(self, row: Row) -> None:
        """Take all of a message."""
        self.strip(row.seq)
        self._numbers.put("purged_seq", max(self.purged_seq, row.seq))
        self._numbers.put("purged_wall", max(self.purged_wall, row.accepted_at))
        self.messages.pop(row.seq)
        self.ids.pop(row.id)
        self.recipients.pop(row.seq)

    def _unlink(self, seq: int) -> None:
        for key in self.links.in_order():
            if key[0] == seq:
                self.links.pop(key)
