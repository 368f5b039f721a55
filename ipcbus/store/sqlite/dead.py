"""Dead letters: entries that were given up, with the reason."""

from __future__ import annotations

from ipcbus.store.records import Dead, Key
from ipcbus.store.sqlite.database import Database, translated
from ipcbus.store.sqlite.forget import strip
from ipcbus.store.sqlite.runs import cut_out

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

_DEAD = (
    "SELECT d.mailbox, d.rank, d.seq, d.attempt, d.shared, d.size, d.code, d.reason,"
    " d.at, m.header, m.body FROM dead d JOIN messages m USING(seq)"
)
_KEY = "WHERE mailbox = ? AND rank = ? AND seq = ?"
_LAST = "WHERE p.mailbox = ?1 AND p.rank = ?2 AND p.last = ?3"


class DeadLetters:
    """The part of `base.Mail` that is about them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @translated
    def bury(self, key: Key, code: str, reason: str, at: int) -> None:
        cut_out(self._db, *key)
        db = self._db.write()
        db.execute(
            "INSERT INTO dead SELECT p.mailbox, p.rank, m.seq, p.attempt, p.shared,"
            " ifnull(p.size, length(m.header) + length(m.body)), ?4, ?5, ?6"
            f" FROM pending p JOIN messages m ON m.seq = p.last {_LAST}",
            (*key, code, reason, at),
        )
        db.execute(f"DELETE FROM pending AS p {_LAST}", key)

    @translated
    def dead(self, mailbox: int | None, after: int, limit: int) -> list[Dead]:
        which = "d.seq > ?1" if mailbox is None else "d.seq > ?1 AND d.mailbox = ?3"
        last = (
            f"SELECT d.seq FROM dead d WHERE {which} ORDER BY d.seq LIMIT 1 OFFSET ?2"
        )
        rows = self._db.read(
            f"{_DEAD} WHERE {which} AND d.seq <= ifnull(({last}), 9e18)"
            " ORDER BY d.seq, d.mailbox",
            (after, limit - 1) if mailbox is None else (after, limit - 1, mailbox),
        )
        return [Dead(*row) for row in rows]

    @translated
    def find_dead(self, mailbox: int | None, id_: str) -> list[Dead]:
        rows = self._db.read(
            f"{_DEAD} WHERE m.id = ?1 AND (?2 IS NULL OR d.mailbox = ?2)"
            " ORDER BY d.mailbox",
            (id_, mailbox),
        )
        return [Dead(*row) for row in rows]

    @translated
    def exhume(self, key: Key) -> None:
        self._db.write().execute(
            "INSERT INTO pending SELECT mailbox, rank, seq, seq, 0, 0, 0, shared, size"
            f" FROM dead {_KEY}",
            key,
        )
        self._forget(key)

    @translated
    def drop_dead(self, key: Key, *, keep: bool) -> None:
        if self._forget(key) and not keep:
            strip(self._db, [key.seq])

    def _forget(self, key: Key) -> bool:
        db = self._db.write()
        db.execute(f"DELETE FROM dead {_KEY}", key)
        return db.changes() > 0
