"""The index of words, one table for each era of messages.

Purging takes the oldest first, and an index cannot forget a message without merging
what is left: with a single table each tenth of it that was purged took a second for
160,000 messages, in one call. So a table takes the messages of a day at most, and no
more than is bearable to keep; nothing is ever deleted from it, and it goes as a whole
when the last of its messages has. Until then a search does not find what was purged or
stripped, because it looks into `messages`. It goes through the eras from the newest.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ipcbus.store.sqlite.database import Database
from ipcbus.store.sqlite.space import MIB

ERA_MS: Final = 24 * 3600 * 1000
ERA_BYTES: Final = 32 * MIB
"""Of words, or a sixteenth of a store that is small: what purging cannot free at once
must not fill it."""

FOUND: Final = (
    "m.seq, m.header, ifnull(substr(m.body, 1, :most_body), x''), length(m.body)"
)
"""Of a message `m`, what history and search answer with."""

_EVER: Final = 2**63 - 1
_OWN = (
    " AND EXISTS (SELECT 1 FROM participants p"
    " WHERE p.agent = :agent AND p.seq = w.rowid)"
)


class Eras:
    """The tables `words_N`, where N is the first seq of an era."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, words: Sequence[tuple[int, str, str]], at: int) -> None:
        """Add the words of messages: seq, of the body, of the data. They follow all
        before; `at` is when the first was accepted."""
        if not words:
            return
        first = self._current(words[0][0], at)
        db = self._db.write()
        db.executemany(
            f"INSERT INTO words_{first}(rowid, body, data) VALUES(?, ?, ?)", words
        )
        size = sum(len(body) + len(data) for _, body, data in words)
        db.execute("UPDATE eras SET bytes = bytes + ? WHERE first = ?", (size, first))

    def _current(self, seq: int, at: int) -> int:
        """The era of a message."""
        newest = self._db.one(
            "SELECT first, began, bytes FROM eras"
            " WHERE gone = 0 ORDER BY first DESC LIMIT 1"
        )
        most = min(ERA_BYTES, self._db.space.capacity // 16)
        if newest and at < newest[1] + ERA_MS and newest[2] < most:
            return int(newest[0])
        db = self._db.write()
        db.execute(
            f"CREATE VIRTUAL TABLE words_{seq} USING fts5("
            " body, data, content='', columnsize=0)"
        )
        db.execute("INSERT INTO eras VALUES(?, ?, 0, 0)", (seq, at))
        return seq

    def find(self, asked: dict[str, Any], limit: int) -> list[tuple[Any, ...]]:
        """Rows of `FOUND` with the words of the query `match`, newest first.

        `agent` took part in them, if it is not None; they are before `before`.
        """
        eras = self._db.read(
            "SELECT first FROM eras WHERE first < ? AND gone = 0 ORDER BY first DESC",
            (asked["before"],),
        ).fetchall()
        own = _OWN if asked["agent"] is not None else ""
        found: list[tuple[Any, ...]] = []
        for (first,) in eras:
            if len(found) == limit:
                break
            # Not kept prepared: they would push out the statements of the hot path.
            found += self._db.read(
                f"SELECT {FOUND} FROM words_{first} w"
                " CROSS JOIN messages m ON m.seq = w.rowid"
                f" WHERE words_{first} MATCH :match AND w.rowid < :before"
                f" AND m.header <> x''{own}"
                " ORDER BY w.rowid DESC LIMIT :left",
                {**asked, "left": limit - len(found)},
                can_cache=False,
            )
        return found

    def drop(self, limit: int) -> bool:
        """Drop an era that has no message any more, in steps of so many pages; whether
        there may be more to drop."""
        over = self._db.one(
            "SELECT first, gone FROM (SELECT first, gone,"
            f" lead(first, 1, {_EVER}) OVER (ORDER BY first) AS next FROM eras) e"
            " WHERE gone = 1 OR NOT EXISTS (SELECT 1 FROM messages m"
            " WHERE m.seq >= e.first AND m.seq < e.next) LIMIT 1"
        )
        if over is None:
            return False
        first, gone = over
        db = self._db.write()
        if not gone:
            db.execute("UPDATE eras SET gone = 1 WHERE first = ?", (first,))
        # Its data is most of it, a page a row. That is no index any more then.
        db.execute(
            f"DELETE FROM words_{first}_data WHERE id IN"
            f" (SELECT id FROM words_{first}_data LIMIT ?)",
            (limit,),
        )
        if db.changes() < limit:
            db.execute(f"DROP TABLE words_{first}")
            db.execute("DELETE FROM eras WHERE first = ?", (first,))
        return True
