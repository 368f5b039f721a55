"""Keeping house, in small steps between the turns of a broker: indexing, purging.

Purging goes through the messages by `seq`, each step going on where the one before
stopped, and from the start once the end was reached: what still waited when it was
looked at may be done with the next time.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, Final

import apsw

from ipcbus.store.base import FOREIGN_ID_MS, ID_MS, PRESSED_ID_MS, UNUSED_BLOB_MS
from ipcbus.store.sqlite.blobs import drop
from ipcbus.store.sqlite.crossings import SqliteCrossings
from ipcbus.store.sqlite.database import Database
from ipcbus.store.sqlite.eras import Eras
from ipcbus.store.sqlite.forget import purge, strip
from ipcbus.store.sqlite.runs import waits
from ipcbus.store.words import MAX_INDEXED, searchable

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

INDEX_BYTES: Final = MAX_INDEXED
"""Bodies that one step of indexing reads: 30 ms where 4 MiB took 300 to 500."""

SCAN: Final = 4
"""Rows that a step of purging may look at for each that it may purge."""

VACUUM_FROM: Final = 4096
"""Free pages (16 MiB) from which on the file is made smaller, if half of it is free.
Below that they will be used again soon."""

_SENT, _RECEIVED = 1, 2
_TAKE_PART = (
    "INSERT INTO participants VALUES(?, ?, ?)"
    " ON CONFLICT DO UPDATE SET role = role | excluded.role"
)
_IS_DONE = f"NOT {waits('m')} AND NOT EXISTS (SELECT 1 FROM dead d WHERE d.seq = m.seq)"


class Upkeep:
    """What `Archive.maintain` does."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._crossings = SqliteCrossings(db)
        self._eras = Eras(db)
        self._purged_to = 0
        self._stripped_to = 0

    def step(self, now: int, history_ms: int, limit: int) -> bool:
        """At most `limit` rows of each kind of work; whether there is more to do."""
        room, unit = self._db.room(), self._db.space.unit
        pressed = room < unit
        more = self.index(limit)
        keep_ids = PRESSED_ID_MS if pressed else max(history_ms, ID_MS)
        more |= self._purge(now - keep_ids, now - max(keep_ids, FOREIGN_ID_MS), limit)
        keep_content = 0 if pressed else history_ms
        if keep_content < keep_ids:
            more |= self._strip(now - keep_content, limit)
        more |= self._crossings.purge(now, history_ms, limit)
        more |= self._drop_blobs(now, limit)
        more |= self._eras.drop(limit)
        more |= self._shrink(limit)
        self._db.space.make_ballast()
        return more

    # --- indexing ------------------------------------------------------------

    def indexed_to(self) -> int:
        return self._db.number("SELECT indexed_to FROM meta")

    def unindexed(self) -> int:
        """Messages that no search finds yet; an upper bound."""
        row = self._db.one("SELECT max(seq) FROM messages")
        newest = row[0] if row and row[0] else 0
        return max(0, int(newest) - self.indexed_to())

    def index(self, limit: int) -> bool:
        """Index the next messages, as far as there is room; whether there are more.

        Words that are added may be merged with those before, and that may take more
        room than they do: then it is left for a time with more.
        """
        # An index that ate the reserve would stand in the way of removals.
        room = self._db.room()
        start = self.indexed_to()
        rows = self._next_rows(start, limit, min(INDEX_BYTES, room)) if room else []
        if not rows:
            return False
        db = self._db.write()
        db.execute("SAVEPOINT indexing")
        try:
            self._index(start, rows)
        except apsw.FullError:
            if not db.in_transaction:
                raise  # SQLite has undone all of it
            db.execute("ROLLBACK TO indexing")
            rows = []
        db.execute("RELEASE indexing")
        return bool(rows)

    def _index(self, start: int, rows: list[tuple[Any, ...]]) -> None:
        took_part, words = [], []
        for seq, sender, mailbox, _, header, body in rows:
            if not header:
                continue
            took_part.append((sender, seq, _SENT))
            if mailbox:
                took_part.append((mailbox, seq, _RECEIVED))
            text, data = searchable(header, body)
            words.append((seq, " ".join(text), " ".join(data)))
        last = rows[-1][0]
        db = self._db.write()
        db.executemany(_TAKE_PART, took_part)
        db.execute(
            "INSERT INTO participants SELECT r.mailbox, r.seq, 2 FROM recipients r"
            " CROSS JOIN messages m ON m.seq = r.seq AND m.header <> x''"
            " WHERE r.seq > ? AND r.seq <= ?"
            " ON CONFLICT DO UPDATE SET role = role | excluded.role",
            (start, last),
        )
        self._eras.add(words, rows[0][3])
        db.execute("UPDATE meta SET indexed_to = ?", (last,))

    def _next_rows(
        self, start: int, limit: int, most_bytes: int
    ) -> list[tuple[Any, ...]]:
        cursor = self._db.read(
            "SELECT seq, sender, mailbox, accepted_at, header,"
            " ifnull(substr(body, 1, ?), x'') FROM messages"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            (MAX_INDEXED, start, limit),
        )
        rows, size = [], 0
        for row in cursor:
            size += len(row[5])
            if size > most_bytes:
                break
            rows.append(row)
        cursor.close()
        return rows

    # --- purging -------------------------------------------------------------

    def _old(self, start: int, until: int, limit: int) -> list[tuple[Any, ...]]:
        """The next messages accepted up to a time, and whether each is done with.

        Times rise with `seq`, so the first message that is newer ends the search: a
        condition in the query would read all of them.
        """
        cursor = self._db.read(
            f"SELECT m.seq, m.sender, m.mailbox, m.header <> x'', {_IS_DONE},"
            " m.accepted_at, instr(m.id, '@')"
            " FROM messages m WHERE m.seq > ? ORDER BY m.seq LIMIT ?",
            (start, SCAN * limit),
        )
        rows = list(takewhile(lambda row: row[5] <= until, cursor))
        cursor.close()
        return rows

    def _purge(self, until: int, foreign_until: int, limit: int) -> bool:
        """Purge messages that were accepted up to a time, which for those of other
        networks lies further back."""
        rows = self._old(self._purged_to, until, limit)
        gone = [
            row[:3]
            for row in rows
            if row[4] and (not row[6] or row[5] <= foreign_until)
        ][:limit]
        purge(self._db, gone)
        self._purged_to = _next_start(rows, gone, limit)
        return self._purged_to > 0

    def _strip(self, until: int, limit: int) -> bool:
        """The same for the content of messages whose ids stay."""
        rows = self._old(self._stripped_to, until, limit)
        gone = [row[:3] for row in rows if row[3] and row[4]][:limit]
        strip(self._db, [row[0] for row in gone])
        self._stripped_to = _next_start(rows, gone, limit)
        return self._stripped_to > 0

    def _drop_blobs(self, now: int, limit: int) -> bool:
        """Attachments have no clock of their own: one that is found without a link is
        marked with the time, and deleted if it still has none an hour later."""
        self._mark_unused(now, limit)
        old = self._db.one(
            "SELECT sha256, pieces FROM blobs"
            " WHERE unused_since > 0 AND unused_since <= ? LIMIT 1",
            (now - UNUSED_BLOB_MS,),
        )
        if old is None:
            return False
        sha256, pieces = old
        drop(self._db, sha256)  # no message may refer to what is half gone
        db = self._db.write()
        # A chunk is as much work as sixty messages.
        db.execute(
            "DELETE FROM blob_chunks WHERE rowid IN"
            " (SELECT rowid FROM blob_chunks WHERE sha256 = ? LIMIT ?)",
            (pieces, max(1, limit // 64)),
        )
        if db.changes() == 0:
            db.execute("DELETE FROM blobs WHERE sha256 = 'gone/' || ?", (pieces,))
        return True

    def _mark_unused(self, now: int, limit: int) -> None:
        unused = self._db.read(
            "SELECT sha256 FROM blobs WHERE unused_since = 0 AND NOT EXISTS"
            " (SELECT 1 FROM blob_links l WHERE l.sha256 = blobs.sha256) LIMIT ?",
            (limit,),
        ).fetchall()
        if unused:
            self._db.write().executemany(
                "UPDATE blobs SET unused_since = ? WHERE sha256 = ?",
                [(now, sha256) for (sha256,) in unused],
            )

    def _shrink(self, limit: int) -> bool:
        """Give free pages back to the file system."""
        free = self._db.number("PRAGMA freelist_count")
        if free < VACUUM_FROM or 2 * free < self._db.number("PRAGMA page_count"):
            return False
        for _ in self._db.write().execute(f"PRAGMA incremental_vacuum({limit})"):
            pass
        return True


def _next_start(
    rows: list[tuple[Any, ...]], gone: list[tuple[Any, ...]], limit: int
) -> int:
    """Where the next step goes on; 0 when this one saw the end."""
    if len(gone) == limit:
        return int(gone[-1][0])
    return int(rows[-1][0]) if len(rows) == SCAN * limit else 0
