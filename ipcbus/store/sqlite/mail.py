"""Messages and the mailboxes they wait in.

The hot path. What a batch costs beyond its commit is mostly the number of calls into
SQLite, so rows go in by 50 a statement, and what is contiguous is changed or removed
as one range: keys of one mailbox and rank whose seqs follow each other without a gap
can have no other entry between them.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import apsw

from ipcbus.store.records import Entry, Key, Mailbox, Place, Row, Run, Waiting
from ipcbus.store.sqlite.database import translated
from ipcbus.store.sqlite.dead import DeadLetters
from ipcbus.store.sqlite.forget import strip

GROUP: Final = 50
"""Rows of one INSERT: a third faster than one each, and more gain nothing."""

_ENTRY = "p.mailbox, p.rank, p.seq, p.attempt, p.due, p.expires, p.shared, p.size"
_ANY_RANK = "rank IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"
_WAITING = (
    f"SELECT {_ENTRY}, m.header, m.body FROM pending p JOIN messages m USING(seq)"
)
_NINE = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_EIGHT = "(?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_MESSAGE = f"INSERT INTO messages VALUES{_NINE} ON CONFLICT(id) DO NOTHING"
_ADD_MESSAGES = (
    f"INSERT INTO messages VALUES{', '.join([_NINE] * GROUP)}"
    " ON CONFLICT(id) DO NOTHING"
)
_ADD_ENTRY = f"INSERT INTO pending VALUES{_EIGHT}"
_ADD_ENTRIES = f"INSERT INTO pending VALUES{', '.join([_EIGHT] * GROUP)}"
_ADD_PLACE = (
    "INSERT INTO pending SELECT ?1, ?2, seq, ?5, 0, ?6, 0, length(header)+length(body)"
    " FROM messages WHERE seq BETWEEN ?3 AND ?4 AND mailbox = ?1"
)
_RANGE = "WHERE mailbox = ? AND rank = ? AND seq BETWEEN ? AND ?"


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
        _insert(db, _ADD_MESSAGE, _ADD_MESSAGES, rows)
        duplicates = []
        if db.total_changes() - before != len(rows):
            duplicates = self._not_stored(rows)
            lost = {rows[at].seq for at in duplicates}
            entries = [entry for entry in entries if entry.seq not in lost]
        _insert(db, _ADD_ENTRY, _ADD_ENTRIES, entries)
        if places:
            db.executemany(_ADD_PLACE, places)
        shared = [(entry.seq, entry.mailbox) for entry in entries if entry.shared]
        if shared:
            db.executemany("INSERT INTO recipients VALUES(?, ?)", shared)
        return duplicates

    def _check_room(self, rows: Sequence[Row]) -> None:
        """Refuse early, so that what is left stays for removals."""
        if sum(len(row.header) + len(row.body) for row in rows) > self._db.room():
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
        cursor = self._db.read(
            f"{_WAITING} WHERE p.mailbox = ? AND (p.rank, p.seq) > (?, ?)"
            " AND p.due = 0 ORDER BY p.rank, p.seq LIMIT ?",
            (mailbox, *after, limit),
        )
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
        row = self._db.one(
            f"{_WAITING} WHERE p.mailbox = ? AND p.rank = ? AND p.seq = ?",
            key,
        )
        return _waiting(row) if row else None

    @translated
    def entries_of(self, seq: int) -> list[Entry]:
        rows = self._db.read(
            f"SELECT {_ENTRY} FROM pending p WHERE p.seq = ?1 AND p.shared = 1"
            f" UNION ALL SELECT {_ENTRY} FROM messages m CROSS JOIN pending p"
            f" ON p.mailbox = m.mailbox AND p.{_ANY_RANK} AND p.seq = m.seq"
            " WHERE m.seq = ?1 AND p.shared = 0 ORDER BY 1",
            (seq,),
        )
        return [Entry(*row) for row in rows]

    @translated
    def find_reply(self, mailbox: int, reply_to: str) -> Waiting | None:
        row = self._db.one(
            f"SELECT {_ENTRY}, m.header, m.body FROM messages m CROSS JOIN pending p"
            f" ON p.mailbox = ?1 AND p.{_ANY_RANK} AND p.seq = m.seq"
            " WHERE m.reply_to = ?2 ORDER BY p.rank, p.seq LIMIT 1",
            (mailbox, reply_to),
        )
        return _waiting(row) if row else None

    @translated
    def due(self, now: int, limit: int) -> list[Entry]:
        rows = self._db.read(
            f"SELECT {_ENTRY} FROM pending p WHERE p.due > 0 AND p.due <= ?"
            " ORDER BY p.due, p.mailbox, p.rank, p.seq LIMIT ?",
            (now, limit),
        )
        return [Entry(*row) for row in rows]

    @translated
    def expired(self, now: int, limit: int) -> list[Waiting]:
        rows = self._db.read(
            f"{_WAITING} WHERE p.expires > 0 AND p.expires <= ?"
            " ORDER BY p.expires, p.mailbox, p.rank, p.seq LIMIT ?",
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
            self._db.write().executemany(
                f"UPDATE pending SET {column} = ? {_RANGE}",
                _runs(changes),
            )

    @translated
    def remove(self, keys: Sequence[Key], *, keep: bool) -> None:
        self.remove_runs([Run(*run) for run in _runs(keys)], keep=keep)

    @translated
    def remove_runs(self, runs: Sequence[Run], *, keep: bool) -> None:
        if not runs:
            return
        db = self._db.write()
        if keep:
            db.executemany(f"DELETE FROM pending {_RANGE}", runs)
            return
        gone = db.executemany(f"DELETE FROM pending {_RANGE} RETURNING seq", runs)
        strip(self._db, [seq for (seq,) in gone])

    @translated
    def put_totals(self, totals: Sequence[Mailbox]) -> None:
        if totals:
            self._db.write().executemany(
                "INSERT OR REPLACE INTO totals VALUES(?, ?, ?)", totals
            )


def _insert(
    db: apsw.Connection, one: str, group: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    whole = len(rows) - len(rows) % GROUP
    for at in range(0, whole, GROUP):
        db.execute(group, tuple(chain.from_iterable(rows[at : at + GROUP])))
    if whole < len(rows):
        db.executemany(one, rows[whole:])


def _runs(keys: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Runs of tuples that differ in the last number only, by one each.

    Each comes out as its first tuple with the last number of its last one added:
    bindings of `_RANGE`, with what is to be set in front.
    """
    start: tuple[int, ...] | None = None
    last = 0
    for key in keys:
        if start is not None and key[-1] == last + 1 and key[:-1] == start[:-1]:
            last += 1
            continue
        if start is not None:
            yield *start, last
        start, last = key, key[-1]
    if start is not None:
        yield *start, last


def _waiting(row: tuple[Any, ...]) -> Waiting:
    return Waiting(Entry(*row[:8]), row[8], row[9])
