"""What passes between networks: links, reply grants, the audit trail.

The trail has runs, not messages: what crosses in one batch by one rule is one row, so
that it costs next to nothing. Which messages they were, `messages` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from ipcbus.protocol.limits import PRIORITIES
from ipcbus.store.base import FOREIGN_ID_MS
from ipcbus.store.records import (
    Audit,
    Entry,
    LinkRow,
    ReplyGrant,
    Waiting,
)
from ipcbus.store.sqlite.database import Database, translated
from ipcbus.store.sqlite.runs import ENTRY

MOST_RUN: Final = 8192
"""Messages in one run of the trail, at the most: bounds the search for one of them."""


_LATE: Final = (
    f"SELECT {ENTRY}, m.header, m.body, m.accepted_at"  # noqa: S608
    " FROM pending p CROSS JOIN messages m"
    " ON m.seq BETWEEN max(p.first, ?3 + 1) AND p.last"
    " WHERE p.mailbox = ?1 AND p.rank = ?2 AND p.last > ?3"
    " ORDER BY p.last, m.seq LIMIT ?4"
)


class SqliteCrossings:
    """`base.Crossings` on SQLite."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @translated
    def put_link(self, link: LinkRow) -> None:
        self._db.write().execute(
            "INSERT OR REPLACE INTO links VALUES(?, ?, ?, ?, ?, ?, ?, ?)", link
        )

    @translated
    def put_pin(self, name: str, network_id: str) -> None:
        db = self._db.write()
        if network_id:
            db.execute("INSERT OR REPLACE INTO pins VALUES(?, ?)", (name, network_id))
        else:
            db.execute("DELETE FROM pins WHERE name = ?", (name,))

    # --- what waits for another network --------------------------------------

    @translated
    def wake(self, mailbox: int) -> None:
        self._db.write().execute(
            "UPDATE pending SET due = 0 WHERE due > 0 AND mailbox = ?", (mailbox,)
        )

    @translated
    def delayed(self, mailbox: int) -> int:
        return self._db.number(
            "SELECT ifnull(sum(last - first + 1), 0) FROM pending"
            " WHERE due > 0 AND mailbox = ?",
            (mailbox,),
        )

    @translated
    def late(self, mailbox: int, until: int, after: int, limit: int) -> list[Waiting]:
        found: list[Waiting] = []
        # One rank after the other, each in the order of its key: a sort over all would
        # read a mailbox to its end each time.
        for rank in range(PRIORITIES):
            cursor = self._db.read(_LATE, (mailbox, rank, after, limit))
            rows = takewhile(lambda row: row[10] <= until, cursor)
            found += [Waiting(Entry(*row[:8]), row[8], row[9]) for row in rows]
            cursor.close()
        return sorted(found, key=lambda waiting: waiting.entry.seq)[:limit]

    # --- answers ---------------------------------------------------------------

    @translated
    def put_grants(self, grants: Sequence[ReplyGrant]) -> None:
        if grants:
            self._db.write().executemany(
                "INSERT OR REPLACE INTO reply_grants VALUES(?, ?, ?, ?, ?, ?)", grants
            )

    @translated
    def grant(self, reply_to: str, replier: str) -> ReplyGrant | None:
        row = self._db.one(
            "SELECT * FROM reply_grants WHERE reply_to = ? AND replier = ?",
            (reply_to, replier),
        )
        return ReplyGrant(*row) if row else None

    # --- the audit trail ---------------------------------------------------------

    @translated
    def record(self, rows: Sequence[Audit]) -> None:
        if rows:
            self._db.write().executemany(
                "INSERT INTO audit VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row[1:] for row in rows],
            )

    @translated
    def audit(self, after: int, limit: int) -> list[Audit]:
        rows = self._db.read(
            "SELECT * FROM audit WHERE n > ? ORDER BY n LIMIT ?", (after, limit)
        )
        return [Audit(*row) for row in rows]

    @translated
    def traced(self, id_: str, seq: int) -> list[Audit]:
        rows = self._db.read(
            "SELECT * FROM audit WHERE id = ?1 AND id <> '' UNION ALL"
            " SELECT * FROM audit WHERE last > 0 AND last >= ?2 AND last < ?2 + ?3"
            " AND first <= ?2 AND ?2 > 0 ORDER BY n",
            (id_, seq, MOST_RUN),
        )
        return [Audit(*row) for row in rows]

    def purge(self, now: int, history_ms: int, limit: int) -> bool:
        """Forget what is over, a step; whether there may be more."""
        keep = max(history_ms, FOREIGN_ID_MS)
        trail = self._db.one("SELECT at FROM audit ORDER BY n LIMIT 1")
        more = False
        if trail and trail[0] <= now - keep:
            db = self._db.write()
            db.execute(
                "DELETE FROM audit WHERE n IN"
                " (SELECT n FROM audit WHERE at <= ? ORDER BY n LIMIT ?)",
                (now - keep, limit),
            )
            more = db.changes() == limit
        old = self._db.read(
            "SELECT reply_to, replier FROM reply_grants"
            " WHERE until <= ? ORDER BY until LIMIT ?",
            (now, limit),
        ).fetchall()
        if old:
            self._db.write().executemany(
                "DELETE FROM reply_grants WHERE reply_to = ? AND replier = ?", old
            )
        return more or len(old) == limit
