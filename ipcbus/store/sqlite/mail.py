"""Messages and the mailboxes they wait in.

The hot path. What a batch costs beyond its commit is mostly the number of calls into
SQLite, so rows go in by many a statement, and what is contiguous is one row of what
waits, see `runs.py`.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import apsw

from ipcbus.store.records import Entry, Key, Mailbox, Place, Row, Run, Waiting
from ipcbus.store.sqlite.database import translated
from ipcbus.store.sqlite.dead import DeadLetters
from ipcbus.store.sqlite.forget import strip
from ipcbus.store.sqlite.runs import (
    ENTRY,
    WAITING,
    holders,
    holding,
    joined,
    remove,
    update,
)

GROUPS: Final = (128, 16, 1)
"""Rows of one INSERT: more save a fifth of its time against one each. SQL of more
than 16 KiB would not be kept prepared."""


def _values(columns: Sequence[int], width: int, count: int) -> str:
    """What `count` rows of `width` parameters put into columns."""
    rows = (", ".join(f"?{width * row + n}" for n in columns) for row in range(count))
    return f"VALUES({'), ('.join(rows)})"


_ADD_MESSAGES = [
    f"INSERT INTO messages {_values(range(1, 10), 9, count)} ON CONFLICT(id) DO NOTHING"
    for count in GROUPS
]
_ADD_ENTRIES = [
    f"INSERT INTO pending {_values((1, 2, 3, 3, 4, 5, 6, 7, 8), 8, count)}"
    for count in GROUPS
]
_ADD_PLACE = "INSERT INTO pending VALUES(?1, ?2, ?3, ?4, ?5, 0, ?6, 0, NULL)"

_GET = (
    f"SELECT {ENTRY}, m.header, m.body FROM messages m CROSS JOIN pending p"
    f" ON {holding('?1', '?2', '?3')} WHERE m.seq = ?3"
)
_ENTRIES_OF = (
    f"SELECT {ENTRY} FROM messages m CROSS JOIN pending p"
    " ON p.last = m.seq AND p.shared = 1 WHERE m.seq = ?1 UNION ALL"
    f" SELECT {ENTRY} FROM messages m CROSS JOIN {holders('m.mailbox', 'm.seq')}"
    " AND p.shared = 0 WHERE m.seq = ?1 ORDER BY 1"
)
_REPLIES = (
    f"SELECT {ENTRY}, m.header, m.body FROM messages m"
    f" CROSS JOIN {holders('?1', 'm.seq')}"
    " WHERE m.reply_to = ?2 AND p.due = 0 ORDER BY p.rank, m.seq"
)
_PAGE = (
    f"SELECT {ENTRY}, m.header, m.body FROM pending p CROSS JOIN messages m"
    " ON m.seq BETWEEN iif(p.rank > ?2, p.first, max(p.first, ?3 + 1)) AND p.last"
    " WHERE p.mailbox = ?1 AND (p.rank, p.last) > (?2, ?3) AND p.due = 0"
    " ORDER BY p.rank, p.last, m.seq LIMIT ?4"
)


class SqliteMail(DeadLetters):
    """`base.Mail` on SQLite."""

    @translated
    def add(
        self,
        rows: Sequence[Row],
        entries: Sequence[Entry],
        places: Sequence[Place] = (),
    ) -> list[int]:
        if not rows:
            return []
        if not self._db.space.plenty:
            self._check_room(rows)
        db = self._db.write()
        before = db.total_changes()
        _insert(db, _ADD_MESSAGES, rows)
        duplicates = []
        if db.total_changes() - before != len(rows):
            duplicates = self._not_stored(rows)
            lost = {rows[at].seq for at in duplicates}
            entries = [entry for entry in entries if entry.seq not in lost]
            places = list(_without(sorted(lost), places))
        _insert(db, _ADD_ENTRIES, entries)
        if places:
            db.executemany(_ADD_PLACE, places)
        shared = [(entry.seq, entry.mailbox) for entry in entries if entry.shared]
        if shared:
            db.executemany("INSERT INTO recipients VALUES(?, ?)", shared)
        return duplicates

    def _check_room(self, rows: Sequence[Row]) -> None:
        """Refuse early, so that what is left stays for removals."""
        ours = not any(row.sender for row in rows)
        size = sum(len(row.header) + len(row.body) for row in rows)
        if size > self._db.room(ours=ours):
            raise self._db.full()

    def _not_stored(self, rows: Sequence[Row]) -> list[int]:
        """Positions of rows that the store ignored: their seq, never used before, is
        not there."""
        there = {
            seq
            for (seq,) in self._db.read(
                "SELECT seq FROM messages WHERE seq BETWEEN ? AND ?",
                (rows[0].seq, rows[-1].seq),
            )
        }
        return [at for at, row in enumerate(rows) if row.seq not in there]

    @translated
    def find(self, id_: str) -> Row | None:
        row = self._db.one("SELECT * FROM messages WHERE id = ?", (id_,))
        return Row(*row) if row else None

    # --- waiting -------------------------------------------------------------

    @translated
    def page(
        self, mailbox: int, after: tuple[int, int], limit: int, most_bytes: int
    ) -> list[Waiting]:
        cursor = self._db.read(_PAGE, (mailbox, *after, limit))
        found: list[Waiting] = []
        left = most_bytes
        for row in cursor:
            left -= len(row[9])
            if left < 0 and found:
                break
            found.append(_waiting(row))
        cursor.close()
        return found

    @translated
    def get(self, key: Key) -> Waiting | None:
        row = self._db.one(_GET, key)
        return _waiting(row) if row else None

    @translated
    def entries_of(self, seq: int) -> list[Entry]:
        return [Entry(*row) for row in self._db.read(_ENTRIES_OF, (seq,))]

    @translated
    def find_reply(
        self, mailbox: int, reply_to: str, is_free: Callable[[int], bool]
    ) -> Waiting | None:
        there = map(_waiting, self._db.read(_REPLIES, (mailbox, reply_to)))
        return next((w for w in there if is_free(w.entry.seq)), None)

    @translated
    def due(self, now: int, limit: int) -> list[Entry]:
        return [entry for entry, _, _ in self._until("due", now, limit)]

    @translated
    def expired(self, now: int, limit: int) -> list[Waiting]:
        return self._until("expires", now, limit)

    def _until(self, column: str, now: int, limit: int) -> list[Waiting]:
        rows = self._db.read(
            f"{WAITING} WHERE p.{column} > 0 AND p.{column} <= ?"
            f" ORDER BY p.{column}, p.mailbox, p.rank, p.last, m.seq LIMIT ?",
            (now, limit),
        )
        return [_waiting(row) for row in rows]

    @translated
    def next_deadline(self) -> int | None:
        row = self._db.one(
            "SELECT (SELECT min(due) FROM pending WHERE due > 0),"
            " (SELECT min(expires) FROM pending WHERE expires > 0)"
        )
        return min((at for at in row or () if at is not None), default=None)

    # --- changing ------------------------------------------------------------

    @translated
    def set_attempts(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("attempt", changes)

    @translated
    def set_due(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("due", changes)

    @translated
    def set_expires(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("expires", changes)

    def _set(self, column: str, changes: Sequence[tuple[int, int, int, int]]) -> None:
        if changes:
            runs = [(*run, value) for value, *run in joined(changes)]
            update(self._db, column, runs)

    @translated
    def remove(self, keys: Sequence[Key], *, keep: bool) -> None:
        self.remove_runs([Run(*run) for run in joined(keys)], keep=keep)

    @translated
    def remove_runs(self, runs: Sequence[Run], *, keep: bool) -> None:
        if not runs:
            return
        gone = remove(self._db, runs)
        if not keep:
            seqs = [seq for first, last in gone for seq in range(first, last + 1)]
            strip(self._db, seqs)

    @translated
    def put_totals(self, totals: Sequence[Mailbox]) -> None:
        if totals:
            self._db.write().executemany(
                "INSERT OR REPLACE INTO totals VALUES(?, ?, ?, NULL)", totals
            )


def _insert(
    db: apsw.Connection, statements: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    at = 0
    for size, statement in zip(GROUPS, statements, strict=True):
        while len(rows) - at >= size:
            group = rows[at : at + size]
            db.execute(statement, tuple(chain.from_iterable(group)))
            at += size


def _without(lost: Sequence[int], places: Iterable[Place]) -> Iterator[Place]:
    """Places without some seqs, which are given in order."""
    for place in places:
        first = place.first
        for seq in lost[bisect_left(lost, first) : bisect_right(lost, place.last)]:
            if first < seq:
                yield place._replace(first=first, last=seq - 1)
            first = seq + 1
        if first <= place.last:
            yield place._replace(first=first)


def _waiting(row: tuple[Any, ...]) -> Waiting:
    return Waiting(Entry(*row[:8]), row[8], row[9])
