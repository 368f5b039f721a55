"""The durable store: one SQLite file, one connection, by apsw.

    store.py        SqliteStore: open, turns, close; puts the parts together
    database.py     the connection: transactions, fence, checkpoints, errors
    space.py        how much room there is; the ballast
    migrations.py   the schema, and how older ones become it
    mail.py registry.py blobs.py archive.py    the four parts of the contract
    offline.py      inspect and restore a file that no broker serves

Why apsw: one known SQLite (the corruption bug of 3.7.0 to 3.51.2 needs two
connections, we have one, and it is fixed here too) and a VFS layer with which the
tests lose unsynced pages.
"""

from ipcbus.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
