"""What a MemoryStore holds, and what its parts have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from ipcbus.errors import StoreFull
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.store.memory.tables import SortedTable, Table, Undo, undo_all
from ipcbus.store.records import (
    Agent,
    AgentKey,
    Alias,
    Audit,
    Entry,
    LinkRow,
    Mailbox,
    ReplyGrant,
    Row,
    Subscription,
    fingerprint,
)

RANKS: Final = range(PRIORITIES)

Deadline = tuple[int, int, int, int]
"""When, mailbox, rank, seq."""

_REPLY_TO, _HEADER, _BODY = map(itemgetter, (6, 7, 8))


class Terms(NamedTuple):
    """What is known of an entry but for its key; one object for all that are alike.
    `size` is None for that of header and body."""

    attempt: int
    due: int
    expires: int
    shared: int
    size: int | None


class Grave(NamedTuple):
    """A dead letter without its message."""

    entry: Entry
    code: str
    reason: str
    at: int


class Upload(NamedTuple):
    """An attachment. `unused_since` is 0 while in use, or not looked at yet; `others`
    uploaded it when it was there already."""

    size: int
    stored: int
    pieces: tuple[bytes, ...]
    sealed: int
    owner: int
    unused_since: int
    others: frozenset[int] = frozenset()


class State:
    """The tables.

    Attributes:
        limit: bytes that all may take.
        overhead: bytes that count for a message beside its content.
        ids: the seq of each message.
        queues: what waits, by mailbox and then by rank, lowest first; one that is
            empty may stay.
        dues, expiries: the entries that have such a time.
        replies: the messages that answer one, by its id.
        recipients: the mailboxes of messages that went to several.
        links, linked: attachments by message, and (attachment, message).
        grant_ends: when a grant ends, and its key.
    """

    def __init__(self, network: str, limit: int, overhead: int) -> None:
        self.network = network
        self.limit = limit
        self.overhead = overhead
        self.epoch = 0
        self.check_fence: Callable[[], None] = lambda: None
        self.undo: Undo = []
        self.messages: SortedTable[int, Row] = SortedTable(self.undo)
        self.ids: Table[str, int] = Table(self.undo)
        self.queues: dict[int, dict[int, SortedTable[int, Terms]]] = {}
        self.dues: SortedTable[Deadline, bool] = SortedTable(self.undo)
        self.expiries: SortedTable[Deadline, bool] = SortedTable(self.undo)
        self.replies: Table[str, tuple[int, ...]] = Table(self.undo)
        self.dead: SortedTable[tuple[int, int, int], Grave] = SortedTable(self.undo)
        self.recipients: Table[int, tuple[int, ...]] = Table(self.undo)
        self.totals: Table[int, Mailbox] = Table(self.undo)
        self.agents: Table[int, Agent] = Table(self.undo)
        self.keys: Table[str, AgentKey] = Table(self.undo)
        self.aliases: Table[str, Alias] = Table(self.undo)
        self.subscriptions: Table[Subscription, Subscription] = Table(self.undo)
        self.pauses: Table[int, bool] = Table(self.undo)
        self.link_rows: Table[int, LinkRow] = Table(self.undo)
        self.pins: Table[str, str] = Table(self.undo)
        self.grants: Table[tuple[str, str], ReplyGrant] = Table(self.undo)
        self.grant_ends: SortedTable[tuple[int, str, str], bool] = SortedTable(
            self.undo
        )
        self.audit: SortedTable[int, Audit] = SortedTable(self.undo)
        self.counters: Table[int, dict[str, int]] = Table(self.undo)
        self.blobs: Table[str, Upload] = Table(self.undo)
        self.links: Table[int, tuple[str, ...]] = Table(self.undo)
        self.linked: SortedTable[tuple[str, int], bool] = SortedTable(self.undo)
        self._numbers: Table[str, int] = Table(self.undo)

    # --- numbers that are rolled back too -------------------------------------

    @property
    def used(self) -> int:
        """Bytes that count against the limit."""
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
        return max(0, self.limit - self.used)

    def write(self) -> None:
        """To be called before any change."""
        self.check_fence()

    def roll_back(self) -> None:
        undo_all(self.undo)

    # --- what waits -------------------------------------------------------------

    def queue(self, mailbox: int, rank: int) -> SortedTable[int, Terms]:
        queues = self.queues.get(mailbox) or {}
        found = queues.get(rank)
        if found is None:
            found = SortedTable(self.undo)
            self.queues[mailbox] = dict(sorted([*queues.items(), (rank, found)]))
        return found

    def wait(self, mailbox: int, rank: int, seqs: Sequence[int], terms: Terms) -> None:
        """Let messages wait, which are given in order."""
        self.queue(mailbox, rank).add(dict.fromkeys(seqs, terms))
        for at, table in ((terms.due, self.dues), (terms.expires, self.expiries)):
            if at:
                table.put_all({(at, mailbox, rank, seq): True for seq in seqs})

    def take(self, mailbox: int, rank: int, seqs: Iterable[int]) -> dict[int, Terms]:
        """Let them wait no more; those that did."""
        gone = self.queue(mailbox, rank).pop_all(seqs)
        if len(self.dues) or len(self.expiries):
            at = [(mailbox, rank, seq) for seq in gone]
            times = list(zip(gone.values(), at, strict=True))
            self.dues.pop_all([(terms.due, *key) for terms, key in times])
            self.expiries.pop_all([(terms.expires, *key) for terms, key in times])
        return gone

    def entry(self, mailbox: int, rank: int, seq: int) -> Entry | None:
        queues = self.queues.get(mailbox)
        queue = queues.get(rank) if queues else None
        terms = None if queue is None else queue.get(seq)
        return None if terms is None else self.entry_by(mailbox, rank, seq, terms)

    def entry_by(self, mailbox: int, rank: int, seq: int, terms: Terms) -> Entry:
        """What waits there by these terms."""
        attempt, due, expires, shared, size = terms
        if size is None:
            row = self.messages[seq]
            size = len(row.header) + len(row.body)
        return Entry(mailbox, rank, seq, attempt, due, expires, shared, size)

    # --- messages and who has them --------------------------------------------

    def mailboxes_of(self, row: Row) -> Sequence[int]:
        """Those that a message was put into."""
        if row.mailbox:
            return (row.mailbox,)
        return sorted(self.recipients.get(row.seq) or ())

    def entries_of(self, row: Row) -> list[Entry]:
        """Where a message waits."""
        boxes = self.mailboxes_of(row)
        found = (self.entry(box, rank, row.seq) for box in boxes for rank in RANKS)
        return [entry for entry in found if entry]

    def graves_of(self, row: Row) -> list[Grave]:
        """The dead letters that a message has left."""
        if not len(self.dead):
            return []
        boxes = self.mailboxes_of(row)
        found = (self.dead.get((row.seq, box, rank)) for box in boxes for rank in RANKS)
        return [grave for grave in found if grave]

    def is_done(self, row: Row) -> bool:
        return not self.entries_of(row) and not self.graves_of(row)

    def add(self, ids: dict[str, int], rows: dict[int, Row]) -> None:
        """Store messages of which none is there."""
        self.use(_size(rows.values()) + len(rows) * self.overhead)
        self.ids.add(ids)
        self.messages.add(rows)
        for row in filter(_REPLY_TO, rows.values()):
            assert row.reply_to is not None
            others = self.replies.get(row.reply_to) or ()
            self.replies.put(row.reply_to, (*others, row.seq))

    def strip(self, rows: Iterable[Row]) -> None:
        """Take the content of messages that are done with."""
        whole = [row for row in rows if row.header]
        new = {
            row.seq: Row(*row[:7], b"", fingerprint(row.header, row.body))
            for row in whole
        }
        self.use(-_size(whole))
        self.messages.put_all(new)
        for row in whole:
            self._unlink(row.seq)

    def purge(self, rows: Sequence[Row]) -> None:
        """Take all of messages that are done with."""
        if not rows:
            return
        self.strip(rows)
        last = rows[-1]
        self._numbers.put("purged_seq", max(self.purged_seq, last.seq))
        self._numbers.put("purged_wall", max(self.purged_wall, last.accepted_at))
        self.use(-self.overhead * len(rows))
        self.messages.pop_all([row.seq for row in rows])
        self.ids.pop_all([row.id for row in rows])
        self.recipients.pop_all([row.seq for row in rows])
        for row in rows:
            if row.reply_to:
                others = (s for s in self.replies[row.reply_to] if s != row.seq)
                self.replies.put(row.reply_to, tuple(others))

    def _unlink(self, seq: int) -> None:
        for sha256 in self.links.pop(seq) or ():
            self.linked.pop((sha256, seq))


def _size(rows: Collection[Row]) -> int:
    """Bytes of headers and bodies."""
    return sum(map(len, map(_HEADER, rows))) + sum(map(len, map(_BODY, rows)))
