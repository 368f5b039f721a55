"""How content leaves: who took part, what it referred to (words: see `eras.py`).

`strip` leaves the id, a fingerprint, and who it went to, so that a late resend is still
known and a late answer let in; `purge` leaves nothing. Both are given messages that are
done with; one that still waits somewhere, or is a dead letter, is left alone by
`strip`.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from collections.abc import Sequence

from ipcbus.store.records import Row, fingerprint
from ipcbus.store.sqlite.database import Database

_DONE = (
    "NOT EXISTS (SELECT 1 FROM pending p WHERE p.last = messages.seq AND p.shared = 1)"
    " AND NOT EXISTS (SELECT 1 FROM dead d WHERE d.seq = messages.seq)"
)


def strip(db: Database, seqs: Sequence[int]) -> None:
    """Take the content of messages that wait in no mailbox of their own."""
    if not db.space.plenty:
        _unlink(db, _repacked(db, seqs))
        return
    stripped = db.write().executemany(
        "UPDATE messages SET header = x'', body = fingerprint(header, body)"
        f" WHERE seq = ? AND header <> x'' AND {_DONE} RETURNING seq, sender, mailbox",
        [(seq,) for seq in seqs],
    )
    _unlink(db, list(stripped))


def _repacked(db: Database, seqs: Sequence[int]) -> list[tuple[int, int, int]]:
    """Strip such that their pages are free at once. A row that is made smaller in its
    place leaves its page nearly empty, and SQLite joins such pages only when rows are
    deleted. That costs twice as much, so it is done where room is scarce."""
    found = db.write().executemany(
        f"DELETE FROM messages WHERE seq = ? AND header <> x'' AND {_DONE} RETURNING *",
        [(seq,) for seq in seqs],
    )
    rows = [Row(*row) for row in found]
    db.write().executemany(
        "INSERT INTO messages VALUES(?, ?, ?, ?, ?, ?, ?, x'', ?)",
        [(*row[:7], fingerprint(row.header, row.body)) for row in rows],
    )
    return [(row.seq, row.sender, row.mailbox) for row in rows]


def purge(db: Database, gone: Sequence[tuple[int, int, int]]) -> None:
    """Delete messages, given as (seq, sender, mailbox), with all that hangs on them."""
    if not gone:
        return
    _unlink(db, gone)
    last = max(seq for seq, _, _ in gone)
    connection = db.write()
    connection.execute(
        "UPDATE meta SET last_seq = max(last_seq, ?1), last_wall = max(last_wall,"
        " (SELECT accepted_at FROM messages WHERE seq = ?1))",
        (last,),
    )
    seqs = [(seq,) for seq, _, _ in gone]
    shared = [(seq,) for seq, _, mailbox in gone if mailbox == 0]
    connection.executemany("DELETE FROM recipients WHERE seq = ?", shared)
    connection.executemany("DELETE FROM messages WHERE seq = ?", seqs)


def _unlink(db: Database, gone: Sequence[tuple[int, int, int]]) -> None:
    if not gone:
        return
    connection = db.write()
    seqs = [(seq,) for seq, _, _ in gone]
    indexed_to = db.number("SELECT indexed_to FROM meta")
    indexed = [row for row in gone if row[0] <= indexed_to]
    connection.executemany(
        "DELETE FROM participants WHERE agent IN (?2, ?3) AND seq = ?1", indexed
    )
    connection.executemany(
        "DELETE FROM participants WHERE seq = ?1 AND agent IN"
        " (SELECT mailbox FROM recipients WHERE seq = ?1)",
        [(seq,) for seq, _, mailbox in gone if mailbox == 0],
    )
    connection.executemany("DELETE FROM blob_links WHERE seq = ?", seqs)
