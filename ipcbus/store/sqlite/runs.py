"""The table `pending`: what waits, in runs.

A row of it is a run: the entries of one mailbox and rank from seq `first` to `last`,
all of which are there, and alike. So a batch to one mailbox is one row on its way in
and on its way out, whatever its length. Runs of one mailbox and rank never overlap.
An entry that is treated by itself is cut out of its run first; runs are never joined
again. Entries of messages that wait in several mailboxes are runs of one.

The key has the last seq, not the first. The run that holds a seq is then the first
with a key from there on, and acks in order change no key.
"""

# ruff: noqa: S608  what is put into a statement are our own names; values are bound

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ipcbus.store.records import Run
from ipcbus.store.sqlite.database import Database

ENTRY: Final = (
    "p.mailbox, p.rank, m.seq, p.attempt, p.due, p.expires, p.shared,"
    " ifnull(p.size, length(m.header) + length(m.body))"
)
"""The columns of an entry, of a run `p` and one of its messages `m`."""

WAITING: Final = (
    f"SELECT {ENTRY}, m.header, m.body FROM pending p CROSS JOIN messages m"
    " ON m.seq BETWEEN p.first AND p.last"
)

_EACH_RANK = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) r"
_WHOLE = " WHERE mailbox = ?1 AND rank = ?2 AND first = ?3 AND last = ?4"
_WITHIN = (
    " WHERE mailbox = ?1 AND rank = ?2 AND last BETWEEN ?3 AND ?4 AND first >= ?3"
    " RETURNING first, last"
)
_SHORTEN = (
    "UPDATE pending SET first = ?4 + 1 WHERE mailbox = ?1 AND rank = ?2 AND first = ?3"
    " AND last = (SELECT min(last) FROM pending"
    " WHERE mailbox = ?1 AND rank = ?2 AND last > ?4)"
)


def holding(mailbox: str, rank: str, seq: str) -> str:
    """The condition that run `p` holds a seq; a seek."""
    return (
        f"p.mailbox = {mailbox} AND p.rank = {rank} AND p.first <= {seq}"
        " AND p.last = (SELECT q.last FROM pending q WHERE q.mailbox = "
        f"{mailbox} AND q.rank = {rank} AND q.last >= {seq} ORDER BY q.last LIMIT 1)"
    )


def holders(mailbox: str, seq: str) -> str:
    """A source of a query: the runs `p` of any rank that hold a seq."""
    at = holding(mailbox, "r.column1", seq)
    return f"{_EACH_RANK} CROSS JOIN pending p ON {at}"


def waits(message: str) -> str:
    """The condition that a message waits somewhere."""
    return (
        f"(EXISTS (SELECT 1 FROM pending p WHERE p.last = {message}.seq"
        " AND p.shared = 1)"
        f" OR EXISTS (SELECT 1 FROM {holders(f'{message}.mailbox', f'{message}.seq')}))"
    )


def remove(db: Database, runs: Sequence[Run]) -> list[tuple[int, int]]:
    """Remove what is there of runs; first and last of what there was.

    Most are a whole row, or the front of one: only else is one cut.
    """
    return _change(db, "DELETE FROM pending", (_SHORTEN,), runs)


def update(db: Database, column: str, runs: Sequence[tuple[int, ...]]) -> None:
    """Set a column of what is there of runs, which have the value at their end."""
    _change(db, f"UPDATE pending SET {column} = ?5", (), runs)


def _change(
    db: Database, what: str, or_else: Sequence[str], runs: Sequence[tuple[int, ...]]
) -> list[tuple[int, int]]:
    connection = db.write()
    met: list[tuple[int, int]] = []
    for run in runs:
        for statement in (what + _WHOLE, *or_else):
            connection.execute(statement, run)
            if connection.changes():
                met.append((run[2], run[3]))
                break
        else:
            mailbox, rank, first, last, *_ = run
            _cut(db, mailbox, rank, first)
            _cut(db, mailbox, rank, last + 1)
            met += connection.execute(what + _WITHIN, run)
    return met


def cut_out(db: Database, mailbox: int, rank: int, seq: int) -> None:
    """Give an entry a row of its own, if it is there."""
    _cut(db, mailbox, rank, seq)
    _cut(db, mailbox, rank, seq + 1)


def _cut(db: Database, mailbox: int, rank: int, at: int) -> None:
    """Let a run begin at a seq that is within one."""
    found = db.one(
        "SELECT first, last FROM pending WHERE mailbox = ? AND rank = ? AND last >= ?"
        " ORDER BY last LIMIT 1",
        (mailbox, rank, at),
    )
    if found is None or found[0] >= at:
        return
    connection, bindings = db.write(), (mailbox, rank, at, found[1])
    key = "WHERE mailbox = ?1 AND rank = ?2 AND last = ?4"
    connection.execute(
        "INSERT INTO pending SELECT mailbox, rank, first, ?3 - 1, attempt, due,"
        f" expires, shared, size FROM pending {key}",
        bindings,
    )
    connection.execute(f"UPDATE pending SET first = ?3 {key}", bindings)


def joined(keys: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Runs of tuples that differ in the last number only, by one each.

    Each comes out as its first tuple with the last number of its last one added.
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
