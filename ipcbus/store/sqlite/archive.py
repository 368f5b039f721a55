"""The past: history and search.

Who took part in a message, and its words, are indexed off the hot path by `upkeep.py`,
in the order of `seq`. History reads what is not indexed yet from the messages
themselves, so it is always complete; search first indexes what is missing, up to
a bound, so that it cannot hold up a broker for long.
"""

from __future__ import annotations

from typing import Any, Final

from ipcbus.store.records import Found
from ipcbus.store.sqlite.database import Database, translated
from ipcbus.store.sqlite.eras import FOUND, Eras
from ipcbus.store.sqlite.runs import holders
from ipcbus.store.sqlite.upkeep import Upkeep
from ipcbus.store.words import parse_query, to_fts

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

CATCH_UP: Final = 8
"""Steps of `CATCH_UP_ROWS` messages that a search indexes first: tenths of a second. If
more are missing, its answer lacks the newest until `maintain` has come to them."""

CATCH_UP_ROWS: Final = 1_000

_EVER: Final = 2**63 - 1


class SqliteArchive:
    """`base.Archive` on SQLite."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._upkeep = Upkeep(db)
        self._eras = Eras(db)

    @translated
    def history(
        self,
        agent: int | None,
        *,
        limit: int,
        before: int | None,
        other: int | None,
        thread: str | None,
        most_body: int | None = None,
    ) -> list[Found]:
        asked = {
            "agent": other if agent is None else agent,
            "other": None if agent is None else other,
            "thread": thread,
            "before": _EVER if before is None else before,
            "most_body": _EVER if most_body is None else most_body,
            "indexed_to": self._upkeep.indexed_to(),
        }
        rows: list[tuple[Any, ...]] = []
        for query in (_not_indexed, _indexed):
            sql = query(asked)
            rows += self._db.read(sql, {**asked, "left": limit - len(rows)})
        return self._found(rows, agent)

    @translated
    def search(
        self,
        agent: int | None,
        query: str,
        *,
        limit: int,
        before: int | None,
        most_body: int | None = None,
    ) -> list[Found]:
        match = to_fts(parse_query(query))
        for _ in range(CATCH_UP):
            if not self._upkeep.index(CATCH_UP_ROWS):
                break
        asked = {
            "match": match,
            "agent": agent,
            "before": _EVER if before is None else before,
            "most_body": _EVER if most_body is None else most_body,
        }
        rows = self._eras.find(asked, limit)
        return self._found(rows, agent)

    def _found(self, rows: list[tuple[Any, ...]], agent: int | None) -> list[Found]:
        return [
            Found(
                seq,
                self.state(seq, agent),
                header,
                body,
                size if size > len(body) else None,
            )
            for seq, header, body, size in rows
        ]

    @translated
    def was_sent(self, seq: int, agent: int) -> bool:
        sql = f"SELECT 1 FROM messages m WHERE m.seq = :seq AND {_got(':agent')}"
        return self._db.one(sql, {"seq": seq, "agent": agent}) is not None

    @translated
    def state(self, seq: int, agent: int | None) -> str:
        row = self._db.one(_STATE, {"seq": seq, "agent": agent})
        return "done" if row is None else str(row[0])

    @translated
    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        return self._upkeep.step(now, history_ms, limit)

    def unindexed(self) -> int:
        """See `Upkeep.unindexed`."""
        return self._upkeep.unindexed()


def _got(agent: str) -> str:
    """Whether message `m` was sent to an agent."""
    return (
        f"(m.mailbox = {agent} OR EXISTS (SELECT 1 FROM recipients r"
        f" WHERE r.seq = m.seq AND r.mailbox = {agent}))"
    )


def _not_indexed(asked: dict[str, Any]) -> str:
    """History of what is not indexed yet: a scan of it."""
    where = "m.seq > :indexed_to"
    if asked["other"] is not None:
        where += (
            f" AND (m.sender = :agent AND {_got(':other')}"
            f" OR m.sender = :other AND {_got(':agent')})"
        )
    elif asked["agent"] is not None:
        where += f" AND (m.sender = :agent OR {_got(':agent')})"
    return _select("messages m", where, asked)


def _indexed(asked: dict[str, Any]) -> str:
    """History of what is: along the messages of the agent, or those of the thread."""
    if asked["agent"] is None:
        return _select("messages m", "m.seq <= :indexed_to", asked)
    where = "p.agent = :agent"
    if asked["other"] is not None:
        where += (
            " AND EXISTS (SELECT 1 FROM participants o WHERE o.agent = :other"
            " AND o.seq = m.seq AND (m.sender = :agent AND o.role & 2"
            " OR m.sender = :other AND p.role & 2))"
        )
    if asked["thread"] is not None:
        source = "messages m CROSS JOIN participants p ON p.seq = m.seq"
        return _select(source, where, asked)
    source = "participants p CROSS JOIN messages m ON m.seq = p.seq"
    return _select(source, f"{where} AND p.seq < :before", asked, order="p.seq")


def _select(
    source: str, where: str, asked: dict[str, Any], *, order: str = "m.seq"
) -> str:
    thread = "" if asked["thread"] is None else " AND m.thread = :thread"
    return (
        f"SELECT {FOUND} FROM {source} WHERE {where}{thread}"
        f" AND m.seq < :before AND m.header <> x'' ORDER BY {order} DESC LIMIT :left"
    )


_STATE = f"""
WITH own(yes) AS (
    SELECT :agent IS NOT NULL AND {_got(":agent")} FROM messages m WHERE m.seq = :seq
)
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM pending p WHERE p.last = :seq AND p.shared = 1
            AND (NOT yes OR p.mailbox = :agent))
        OR EXISTS (SELECT 1 FROM messages m
            CROSS JOIN {holders("m.mailbox", "m.seq")} WHERE m.seq = :seq)
        THEN 'waiting'
    WHEN EXISTS (SELECT 1 FROM dead d WHERE d.seq = :seq
            AND (NOT yes OR d.mailbox = :agent))
        THEN 'dead'
    ELSE 'done' END
FROM own
"""
