"""The past: history and search, and what fills and purges them.

Who took part in a message, and its words, are indexed off the hot path: up to
`meta.indexed_to` by `maintain`, in the order of `seq`. History reads what lies behind
that from the messages themselves, so it is always complete; search first indexes what
is missing, up to `CATCH_UP` messages, so that it cannot hold up a broker for long.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from typing import Any, Final

from ipcbus.store.base import (
    ID_MS,
    PRESSED_ID_MS,
    UNUSED_BLOB_MS,
    Found,
)
from ipcbus.store.sqlite.database import Database, translated
from ipcbus.store.sqlite.forget import purge, strip
from ipcbus.store.words import parse_query, searchable, to_fts

CATCH_UP: Final = 10_000
"""Messages that a search indexes first: 0.3 s. Behind that, the newest are missing
from its answer until `maintain` has come to them."""

SCAN: Final = 8
"""Rows that a step of purging may look at for each that it may purge."""

VACUUM_FROM: Final = 4096
"""Free pages (16 MiB) from which on the file is made smaller, if half of it is free.
Below that they will be used again soon."""

_SENT, _RECEIVED = 1, 2
_WAITS_NOWHERE = (
    "NOT EXISTS (SELECT 1 FROM pending p WHERE p.seq = m.seq AND p.shared = 1)"
    " AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.mailbox = m.mailbox"
    " AND p.rank IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) AND p.seq = m.seq)"
    " AND NOT EXISTS (SELECT 1 FROM dead d WHERE d.seq = m.seq)"
)
_GOT = (
    "(m.mailbox = {0} OR EXISTS"
    " (SELECT 1 FROM recipients r WHERE r.seq = m.seq AND r.mailbox = {0}))"
)


class SqliteArchive:
    """`base.Archive` on SQLite."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._purged_to = 0
        self._stripped_to = 0

    # --- asking --------------------------------------------------------------

    @translated
    def history(
        self,
        agent: int | None,
        *,
        limit: int,
        before: int | None,
        other: int | None,
        thread: str | None,
    ) -> list[Found]:
        indexed_to = self._indexed_to()
        bindings = {
            "agent": agent if agent is not None else other,
            "other": other if agent is not None else None,
            "before": before if before is not None else 2**63 - 1,
            "thread": thread,
            "indexed_to": indexed_to,
        }
        rows: list[tuple[Any, ...]] = []
        for source in (_TAIL, _INDEXED):
            bindings["left"] = limit - len(rows)
            sql = source(bindings)
            rows += self._db.read(sql, bindings)
        return self._found(rows, agent)

    @translated
    def search(
        self, agent: int | None, query: str, *, limit: int, before: int | None
    ) -> list[Found]:
        terms = parse_query(query)
        self._index(CATCH_UP)
        own = (
            "AND EXISTS (SELECT 1 FROM participants p"
            " WHERE p.agent = :agent AND p.seq = words.rowid)"
        )
        rows = self._db.read(
            "SELECT m.seq, m.header, m.body FROM words"
            " JOIN messages m ON m.seq = words.rowid WHERE words MATCH :query"
            f" AND words.rowid < :before {own if agent is not None else ''}"
            " ORDER BY words.rowid DESC LIMIT :limit",
            {
                "agent": agent,
                "query": to_fts(terms),
                "before": before if before is not None else 2**63 - 1,
                "limit": limit,
            },
        )
        return self._found(list(rows), agent)

    def _found(self, rows: list[tuple[Any, ...]], agent: int | None) -> list[Found]:
        return [
            Found(seq, self._state(seq, agent), header, body)
            for seq, header, body in rows
        ]

    @translated
    def state(self, seq: int, agent: int | None) -> str:
        return self._state(seq, agent)

    def _state(self, seq: int, agent: int | None) -> str:
        row = self._db.one(_STATE, {"seq": seq, "agent": agent})
        return "done" if row is None else str(row[0])

    # --- keeping house -------------------------------------------------------

    @translated
    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        room, unit = self._db.room(), self._db.space.unit
        pressed = room < unit
        more = room > 0 and self._index(limit)
        keep_ids = PRESSED_ID_MS if pressed else max(history_ms, ID_MS)
        more |= self._purge(now - keep_ids, limit)
        keep_content = 0 if pressed else history_ms
        if keep_content < keep_ids:
            more |= self._strip(now - keep_content, limit)
        more |= self._drop_blobs(now, limit)
        more |= self._shrink(limit)
        self._db.space.make_ballast()
        return more

    def _indexed_to(self) -> int:
        return self._db.number("SELECT indexed_to FROM meta")

    def unindexed(self) -> int:
        """Messages that no search finds yet; an upper bound."""
        row = self._db.one("SELECT max(seq) FROM messages")
        newest = row[0] if row and row[0] else 0
        return max(0, int(newest) - self._indexed_to())

    def _index(self, limit: int) -> bool:
        """Index the next messages; whether there are more."""
        start = self._indexed_to()
        rows = list(
            self._db.read(
                "SELECT seq, sender, mailbox, header, body FROM messages"
                " WHERE seq > ? ORDER BY seq LIMIT ?",
                (start, limit),
            )
        )
        if not rows:
            return False
        db = self._db.write()
        last = rows[-1][0]
        took_part, words = [], []
        for seq, sender, mailbox, header, body in rows:
            if not header:
                continue
            took_part.append((sender, seq, _SENT))
            if mailbox:
                took_part.append((mailbox, seq, _RECEIVED))
            text, data = searchable(header, body)
            words.append((seq, " ".join(text), " ".join(data)))
        db.executemany(_TAKE_PART, took_part)
        db.execute(
            "INSERT INTO participants SELECT r.mailbox, r.seq, 2 FROM recipients r"
            " WHERE r.seq > ? AND r.seq <= ?"
            " ON CONFLICT DO UPDATE SET role = role | excluded.role",
            (start, last),
        )
        db.executemany("INSERT INTO words(rowid, body, data) VALUES(?, ?, ?)", words)
        db.execute("UPDATE meta SET indexed_to = ?", (last,))
        return len(rows) == limit

    def _old(self, start: int, until: int, limit: int) -> list[tuple[Any, ...]]:
        """The next messages accepted up to a time, and whether each is done with."""
        return list(
            self._db.read(
                "SELECT m.seq, m.sender, m.mailbox, m.header <> x'' AS whole,"
                f" {_WAITS_NOWHERE} FROM messages m"
                " WHERE m.seq > ? AND m.accepted_at <= ? ORDER BY m.seq LIMIT ?",
                (start, until, SCAN * limit),
            )
        )

    def _purge(self, until: int, limit: int) -> bool:
        """Purge up to `limit` messages; go on where the step before stopped, and from
        the start once the end was reached: what waited may be done by then."""
        rows = self._old(self._purged_to, until, limit)
        gone = [row[:3] for row in rows if row[4]][:limit]
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
        unused = "NOT EXISTS (SELECT 1 FROM blob_links l WHERE l.sha256 = blobs.sha256)"
        fresh = self._db.read(
            f"SELECT sha256 FROM blobs WHERE unused_since = 0 AND {unused} LIMIT ?",
            (limit,),
        ).fetchall()
        if fresh:
            self._db.write().executemany(
                "UPDATE blobs SET unused_since = ? WHERE sha256 = ?",
                [(now, sha256) for (sha256,) in fresh],
            )
        old = self._db.one(
            "SELECT sha256 FROM blobs"
            " WHERE unused_since > 0 AND unused_since <= ? LIMIT 1",
            (now - UNUSED_BLOB_MS,),
        )
        if old is None:
            return False
        # A chunk is as much work as sixty messages.
        db = self._db.write()
        db.execute(
            "DELETE FROM blob_chunks WHERE rowid IN"
            " (SELECT rowid FROM blob_chunks WHERE sha256 = ? LIMIT ?)",
            (*old, max(1, limit // 64)),
        )
        if db.changes() == 0:
            db.execute("DELETE FROM blobs WHERE sha256 = ?", old)
        return True

    def _shrink(self, limit: int) -> bool:
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


_TAKE_PART = (
    "INSERT INTO participants VALUES(?, ?, ?)"
    " ON CONFLICT DO UPDATE SET role = role | excluded.role"
)

_STATE = f"""
WITH own(yes) AS (
    SELECT :agent IS NOT NULL AND {_GOT.format(":agent")}
    FROM messages m WHERE m.seq = :seq
)
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM pending p WHERE p.seq = :seq AND p.shared = 1
            AND (NOT yes OR p.mailbox = :agent))
        OR EXISTS (SELECT 1 FROM messages m JOIN pending p ON p.mailbox = m.mailbox
            AND p.rank IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) AND p.seq = m.seq
            WHERE m.seq = :seq)
        THEN 'waiting'
    WHEN EXISTS (SELECT 1 FROM dead d WHERE d.seq = :seq
            AND (NOT yes OR d.mailbox = :agent))
        THEN 'dead'
    ELSE 'done' END
FROM own
"""


def _TAIL(asked: dict[str, Any]) -> str:  # noqa: N802
    """History of what is not indexed yet."""
    where = ["m.seq > :indexed_to"]
    if asked["agent"] is not None and asked["other"] is not None:
        where.append(
            f"(m.sender = :agent AND {_GOT.format(':other')}"
            f" OR m.sender = :other AND {_GOT.format(':agent')})"
        )
    elif asked["agent"] is not None:
        where.append(f"(m.sender = :agent OR {_GOT.format(':agent')})")
    return _select("messages m", where, asked)


def _INDEXED(asked: dict[str, Any]) -> str:  # noqa: N802
    """History of what is."""
    source, where = "messages m", ["m.seq <= :indexed_to"]
    if asked["agent"] is not None:
        source = "participants p CROSS JOIN messages m ON m.seq = p.seq"
        where.append("p.agent = :agent AND p.seq < :before")
    if asked["agent"] is not None and asked["other"] is not None:
        where.append(
            "EXISTS (SELECT 1 FROM participants o WHERE o.agent = :other"
            " AND o.seq = p.seq AND (m.sender = :agent AND o.role & 2"
            " OR m.sender = :other AND p.role & 2))"
        )
    return _select(source, where, asked)


def _select(source: str, where: list[str], asked: dict[str, Any]) -> str:
    if asked["thread"] is not None:
        where.append("m.thread = :thread")
    order = "p.seq" if source.startswith("participants") else "m.seq"
    return (
        f"SELECT m.seq, m.header, m.body FROM {source} WHERE {' AND '.join(where)}"
        f" AND m.seq < :before AND m.header <> x'' ORDER BY {order} DESC LIMIT :left"
    )
