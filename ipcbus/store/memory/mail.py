"""Messages and mailboxes in memory: `base.Mail`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice, takewhile
from operator import itemgetter

from ipcbus.store.memory.state import RANKS, Deadline, Grave, State, Terms
from ipcbus.store.memory.tables import SortedTable
from ipcbus.store.records import Dead, Entry, Key, Mailbox, Place, Row, Run, Waiting

_SEQ, _ID = map(itemgetter, (0, 1))


class MemoryMail:
    """`base.Mail` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        rows: Sequence[Row],
        entries: Sequence[Entry],
        places: Sequence[Place] = (),
    ) -> list[int]:
        self._state.write()
        duplicates, fresh = self._put(rows)
        for mailbox, rank, first, last, attempt, expires in places:
            seqs = list(filter(fresh.__contains__, range(first, last + 1)))
            terms = Terms(attempt, 0, expires, 0, None)
            self._state.wait(mailbox, rank, seqs, terms)
        for entry in entries:
            if entry.seq in fresh:
                self._enter(entry)
        return duplicates

    def _put(self, rows: Sequence[Row]) -> tuple[list[int], dict[int, Row]]:
        """Store rows: the positions of those that were known, and the others by seq."""
        state = self._state
        fresh = dict(zip(map(_SEQ, rows), rows, strict=True))
        ids = dict(zip(map(_ID, rows), fresh, strict=True))
        duplicates: list[int] = []
        if len(ids) < len(rows) or not state.ids.has_none_of(ids):
            ids.clear()
            for at, row in enumerate(rows):
                if row.id in ids or row.id in state.ids:
                    duplicates.append(at)
                    del fresh[row.seq]
                else:
                    ids[row.id] = row.seq
        state.add(ids, fresh)
        return duplicates, fresh

    def _enter(self, entry: Entry) -> None:
        mailbox, rank, seq, attempt, due, expires, shared, size = entry
        state = self._state
        state.wait(mailbox, rank, [seq], Terms(attempt, due, expires, shared, size))
        if shared:
            others = state.recipients.get(seq) or ()
            state.recipients.put(seq, (*others, mailbox))

    def find(self, id_: str) -> Row | None:
        seq = self._state.ids.get(id_)
        return None if seq is None else self._state.messages[seq]

    # --- waiting -------------------------------------------------------------

    def page(
        self, mailbox: int, after: tuple[int, int], limit: int, most_bytes: int
    ) -> list[Waiting]:
        found: list[Waiting] = []
        left = most_bytes
        for waiting in self._after(mailbox, after):
            left -= len(waiting.body)
            if len(found) == limit or (left < 0 and found):
                break
            found.append(waiting)
        return found

    def _after(self, mailbox: int, after: tuple[int, int]) -> Iterator[Waiting]:
        """What is not delayed, from there on."""
        state = self._state
        for rank, queue in state.queues.get(mailbox, {}).items():
            if rank >= after[0]:
                for seq in queue.after(after[1] if rank == after[0] else -1):
                    terms = queue[seq]
                    if not terms.due:
                        yield self._waiting(state.entry_by(mailbox, rank, seq, terms))

    def get(self, key: Key) -> Waiting | None:
        entry = self._state.entry(*key)
        return self._waiting(entry) if entry else None

    def entries_of(self, seq: int) -> list[Entry]:
        row = self._state.messages.get(seq)
        return self._state.entries_of(row) if row else []

    def find_reply(
        self, mailbox: int, reply_to: str, is_free: Callable[[int], bool]
    ) -> Waiting | None:
        seqs = sorted(filter(is_free, self._state.replies.get(reply_to) or ()))
        keys = (Key(mailbox, rank, seq) for rank in RANKS for seq in seqs)
        there = filter(None, map(self.get, keys))
        return next((waiting for waiting in there if not waiting.entry.due), None)

    def due(self, now: int, limit: int) -> list[Entry]:
        return [w.entry for w in self._until(self._state.dues, now, limit)]

    def expired(self, now: int, limit: int) -> list[Waiting]:
        return self._until(self._state.expiries, now, limit)

    def _until(
        self, times: SortedTable[Deadline, bool], now: int, limit: int
    ) -> list[Waiting]:
        passed = takewhile(lambda time: time[0] <= now, times.after((0,)))
        return [self._there(Key(*time[1:])) for time in islice(passed, limit)]

    def next_deadline(self) -> int | None:
        firsts = (self._state.dues.first(), self._state.expiries.first())
        return min((first[0] for first in firsts if first), default=None)

    def _there(self, key: Key) -> Waiting:
        found = self.get(key)
        assert found is not None, "a deadline without its entry"
        return found

    def _waiting(self, entry: Entry) -> Waiting:
        row = self._state.messages[entry.seq]
        return Waiting(entry, row.header, row.body)

    # --- changing ------------------------------------------------------------

    def set_attempts(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("attempt", changes)

    def set_due(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("due", changes)

    def set_expires(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("expires", changes)

    def _set(self, field: str, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._state.write()
        for (value, mailbox, rank), group in groupby(changes, itemgetter(0, 1, 2)):
            seqs = [change[3] for change in group]
            old = self._state.take(mailbox, rank, seqs)
            for terms, alike in groupby(old, old.__getitem__):
                new = terms._replace(**{field: value})
                self._state.wait(mailbox, rank, list(alike), new)

    def remove(self, keys: Sequence[Key], *, keep: bool) -> None:
        for (mailbox, rank), group in groupby(keys, itemgetter(0, 1)):
            self._remove(mailbox, rank, [key[2] for key in group], keep=keep)

    def remove_runs(self, runs: Sequence[Run], *, keep: bool) -> None:
        for mailbox, rank, first, last in runs:
            self._remove(mailbox, rank, range(first, last + 1), keep=keep)

    def _remove(
        self, mailbox: int, rank: int, seqs: Iterable[int], *, keep: bool
    ) -> None:
        self._state.write()
        gone = self._state.take(mailbox, rank, seqs)
        if not keep:
            self._strip(gone)

    def _strip(self, seqs: Iterable[int]) -> None:
        """Take the content of messages that were in one mailbox, or are in no other."""
        rows = [self._state.messages[seq] for seq in seqs]
        done = [row for row in rows if row.mailbox or self._state.is_done(row)]
        self._state.strip(done)

    def put_totals(self, totals: Sequence[Mailbox]) -> None:
        self._state.write()
        for total in totals:
            self._state.totals.put(total.mailbox, total)

    # --- dead letters --------------------------------------------------------

    def bury(self, key: Key, code: str, reason: str, at: int) -> None:
        self._state.write()
        entry = self._state.entry(*key)
        if entry:
            self._state.take(key.mailbox, key.rank, [key.seq])
            self._state.dead.put(_grave_key(key), Grave(entry, code, reason, at))

    def dead(self, mailbox: int | None, after: int, limit: int) -> list[Dead]:
        found: list[Dead] = []
        for at in self._state.dead.after((after + 1,)):
            grave = self._state.dead[at]
            if mailbox not in (None, grave.entry.mailbox):
                continue
            if len(found) >= limit and found[-1].seq != grave.entry.seq:
                break
            found.append(self._dead(grave))
        return found

    def find_dead(self, mailbox: int | None, id_: str) -> list[Dead]:
        row = self.find(id_)
        graves = self._state.graves_of(row) if row else []
        return [
            self._dead(grave)
            for grave in graves
            if mailbox in (None, grave.entry.mailbox)
        ]

    def exhume(self, key: Key) -> None:
        self._state.write()
        grave = self._state.dead.pop(_grave_key(key))
        if grave:
            entry = grave.entry
            terms = Terms(0, 0, 0, entry.shared, entry.size)
            self._state.wait(entry.mailbox, entry.rank, [entry.seq], terms)

    def drop_dead(self, key: Key, *, keep: bool) -> None:
        self._state.write()
        if self._state.dead.pop(_grave_key(key)) and not keep:
            self._strip([key.seq])

    def _dead(self, grave: Grave) -> Dead:
        entry = grave.entry
        row = self._state.messages[entry.seq]
        return Dead(
            *entry[:4],
            shared=entry.shared,
            size=entry.size,
            code=grave.code,
            reason=grave.reason,
            at=grave.at,
            header=row.header,
            body=row.body,
        )


def _grave_key(key: Key) -> tuple[int, int, int]:
    return key.seq, key.mailbox, key.rank
