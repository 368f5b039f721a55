"""Attachments, in pieces as they came: the rows of `blob_chunks`.

The pieces of an upload have a name of their own for good, because to change it would
write all of them anew; the row in `blobs` says which, and may be called otherwise at
any time.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from ipcbus.errors import NoSuchMessage
from ipcbus.store.records import Blob
from ipcbus.store.sqlite.database import Database, translated

_PIECES = "(SELECT pieces FROM blobs WHERE sha256 = ?1)"


def drop(db: Database, sha256: str) -> None:
    """Nobody finds it any more, and upkeep will take it to pieces."""
    connection = db.write()
    connection.execute(
        "UPDATE blobs SET sha256 = 'gone/' || pieces, sealed = 0, unused_since = 1"
        " WHERE sha256 = ?",
        (sha256,),
    )
    connection.execute("DELETE FROM blob_owners WHERE sha256 = ?", (sha256,))


class SqliteBlobs:
    """`base.Blobs` on SQLite."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @translated
    def begin(self, sha256: str, size: int, owner: int, at: int) -> Blob:
        # One that is there already, but unused, is about to be used: its time to be
        # purged starts anew.
        self._db.write().execute(
            "INSERT INTO blobs VALUES(?, ?, 0, 0, ?, ?, lower(hex(randomblob(16))))"
            " ON CONFLICT(sha256) DO UPDATE SET unused_since = excluded.unused_since"
            " WHERE unused_since > 0",
            (sha256, size, owner, at),
        )
        return self._must_get(sha256)

    @translated
    def get(self, sha256: str) -> Blob | None:
        row = self._db.one(
            "SELECT sha256, size, stored, sealed, owner FROM blobs WHERE sha256 = ?",
            (sha256,),
        )
        return Blob(*row) if row else None

    @translated
    def append(self, sha256: str, data: bytes) -> int:
        blob = self._must_get(sha256)
        if len(data) > self._db.room():
            raise self._db.full()
        if not data:
            return blob.stored
        db = self._db.write()
        db.execute(
            f"INSERT INTO blob_chunks VALUES({_PIECES}, ?2, ?3)",
            (sha256, blob.stored, data),
        )
        db.execute(
            "UPDATE blobs SET stored = stored + ? WHERE sha256 = ?", (len(data), sha256)
        )
        return blob.stored + len(data)

    @translated
    def restart(self, sha256: str) -> None:
        if self._must_get(sha256).sealed:
            return
        db = self._db.write()
        db.execute(f"DELETE FROM blob_chunks WHERE sha256 = {_PIECES}", (sha256,))
        db.execute("UPDATE blobs SET stored = 0 WHERE sha256 = ?", (sha256,))

    @translated
    def seal(self, sha256: str) -> None:
        self._must_get(sha256)
        self._db.write().execute(
            "UPDATE blobs SET sealed = 1 WHERE sha256 = ?", (sha256,)
        )

    @translated
    def rename(self, upload: str, sha256: str) -> None:
        self._must_get(upload)
        drop(self._db, sha256)
        self._db.write().execute(
            "UPDATE blobs SET sha256 = ?2 WHERE sha256 = ?1", (upload, sha256)
        )

    @translated
    def drop(self, sha256: str) -> None:
        drop(self._db, sha256)

    @translated
    def own(self, sha256: str, agent: int) -> None:
        self._must_get(sha256)
        self._db.write().execute(
            "INSERT OR IGNORE INTO blob_owners VALUES(?, ?)", (sha256, agent)
        )

    @translated
    def read(self, sha256: str, offset: int, length: int) -> bytes:
        self._must_get(sha256)
        rows = self._db.read(
            f"SELECT offset, data FROM blob_chunks WHERE sha256 = {_PIECES}"
            " AND offset < ?3 AND offset >= (SELECT max(offset) FROM blob_chunks"
            f" WHERE sha256 = {_PIECES} AND offset <= ?2) ORDER BY offset",
            (sha256, offset, offset + length),
        )
        return b"".join(
            data[max(0, offset - start) : offset + length - start]
            for start, data in rows
        )

    @translated
    def link(self, seq: int, sha256: str) -> None:
        self._must_get(sha256)
        db = self._db.write()
        db.execute("INSERT OR IGNORE INTO blob_links VALUES(?, ?)", (seq, sha256))
        db.execute("UPDATE blobs SET unused_since = 0 WHERE sha256 = ?", (sha256,))

    @translated
    def readable(self, sha256: str, agent: int) -> bool:
        found = self._db.number(
            "SELECT EXISTS(SELECT 1 FROM blobs WHERE sha256 = ?1 AND owner = ?2)"
            " OR EXISTS(SELECT 1 FROM blob_owners WHERE sha256 = ?1 AND agent = ?2)"
            " OR EXISTS(SELECT 1 FROM blob_links l JOIN messages m USING(seq)"
            " WHERE l.sha256 = ?1 AND (m.sender = ?2 OR m.mailbox = ?2 OR EXISTS("
            "SELECT 1 FROM recipients r WHERE r.seq = m.seq AND r.mailbox = ?2)))",
            (sha256, agent),
        )
        return bool(found)

    def _must_get(self, sha256: str) -> Blob:
        blob = self.get(sha256)
        if blob is None:
            raise NoSuchMessage(id=sha256, where="among the attachments")
        return blob
