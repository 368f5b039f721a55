"""The schema, and how an older one becomes it.

Migrations are numbered by their place in `MIGRATIONS`, each runs once, and they are
only ever appended: a released one never changes. PRAGMA user_version tells how many
have run; the table `migrations` tells when. All that are missing run in one
transaction, so that a database is never between two schemas.

Why the schema looks as it does (measured in batches of 512 messages of 256 bytes, as a
share of the processor time that the store takes for one, 2.9 us):

- `messages` has one index, on the id, which a resend needs: 19 %. Ids that begin with
  the time go to its right end; random ones would touch a page each.
- What waits is a table of its own, in delivery order, in runs: a batch is one row on
  its way in and on its way out, see `runs.py`. A row for each entry costs 17 % more.
- Partial indexes cost nothing for the rows that they leave out.
- Who took part in what, and the words, are indexed later (`archive.py`, `eras.py`).
- A file that can shrink (`auto_vacuum`) keeps a map of its pages: 12 %.
- With one message at a time a commit writes four pages: of messages, of ids, of what
  waits, of totals and counters. Each is 5 us of processor time more, of about 110.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import apsw

from ipcbus.store.sqlite.runs import joined

APPLICATION_ID: Final = 0x69706362
"""`ipcb`: marks the file as ours, see `file(1)`."""

_FIRST = """
CREATE TABLE meta(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,       -- of the broker that serves
    last_seq INTEGER NOT NULL,    -- at least that of every purged message
    last_wall INTEGER NOT NULL,   -- the same for accepted_at
    indexed_to INTEGER NOT NULL,  -- last seq in participants and words
    clean INTEGER NOT NULL        -- 1 after a clean stop
);
INSERT INTO meta VALUES(1, 0, 0, 0, 0, 1);
CREATE TABLE migrations(number INTEGER PRIMARY KEY, at INTEGER NOT NULL);

CREATE TABLE messages(
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    sender INTEGER NOT NULL,
    mailbox INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    thread TEXT,
    reply_to TEXT,
    header BLOB NOT NULL,         -- empty when the content is gone
    body BLOB NOT NULL            -- then the fingerprint of both
);
CREATE INDEX messages_thread ON messages(thread) WHERE thread IS NOT NULL;
CREATE INDEX messages_reply ON messages(reply_to) WHERE reply_to IS NOT NULL;

CREATE TABLE pending(
    mailbox INTEGER, rank INTEGER, seq INTEGER,
    attempt INTEGER NOT NULL, due INTEGER NOT NULL, expires INTEGER NOT NULL,
    shared INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY(mailbox, rank, seq)
) WITHOUT ROWID;
CREATE INDEX pending_due ON pending(due) WHERE due > 0;
CREATE INDEX pending_expires ON pending(expires) WHERE expires > 0;
CREATE INDEX pending_shared ON pending(seq) WHERE shared = 1;

CREATE TABLE dead(
    mailbox INTEGER, rank INTEGER, seq INTEGER,
    attempt INTEGER NOT NULL, shared INTEGER NOT NULL, size INTEGER NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY(seq, mailbox, rank)
) WITHOUT ROWID;
CREATE INDEX dead_mailbox ON dead(mailbox, seq);
CREATE TABLE totals(
    mailbox INTEGER PRIMARY KEY, messages INTEGER NOT NULL, bytes INTEGER NOT NULL
);

CREATE TABLE agents(
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, registered INTEGER NOT NULL,
    created_at INTEGER NOT NULL, renamed_at INTEGER NOT NULL,
    rate INTEGER NOT NULL, max_body INTEGER NOT NULL
);
CREATE TABLE keys(
    key TEXT PRIMARY KEY, agent INTEGER NOT NULL, role TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE aliases(
    name TEXT PRIMARY KEY, agent INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE subscriptions(
    agent INTEGER, pattern TEXT, PRIMARY KEY(agent, pattern)
) WITHOUT ROWID;
CREATE TABLE counters(
    one INTEGER PRIMARY KEY CHECK (one = 1), packed TEXT NOT NULL
);

CREATE TABLE blobs(
    sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, stored INTEGER NOT NULL,
    sealed INTEGER NOT NULL, owner INTEGER NOT NULL,
    unused_since INTEGER NOT NULL -- 0: in use, or not looked at yet
) WITHOUT ROWID;
CREATE TABLE blob_chunks(
    sha256 TEXT NOT NULL, offset INTEGER NOT NULL, data BLOB NOT NULL,
    UNIQUE(sha256, offset)
);
CREATE TABLE blob_links(
    seq INTEGER, sha256 TEXT, PRIMARY KEY(seq, sha256)
) WITHOUT ROWID;
CREATE INDEX blob_links_sha256 ON blob_links(sha256);

-- Written with the message, but only for those that wait in several mailboxes: who
-- was sent the others, `messages.mailbox` tells.
CREATE TABLE recipients(
    seq INTEGER, mailbox INTEGER, PRIMARY KEY(seq, mailbox)
) WITHOUT ROWID;
CREATE TABLE participants(
    agent INTEGER, seq INTEGER,
    role INTEGER NOT NULL,        -- 1 sent it, 2 was sent it, 3 both
    PRIMARY KEY(agent, seq)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(
    body, data, content='', contentless_delete=1
);
"""


def _first(db: apsw.Connection) -> None:
    db.execute(_FIRST)


_LINKS = """
ALTER TABLE meta ADD COLUMN network_id TEXT NOT NULL DEFAULT '';
UPDATE meta SET network_id = lower(hex(randomblob(8)));

CREATE TABLE links(
    agent INTEGER PRIMARY KEY, peer_id TEXT NOT NULL,
    epoch INTEGER NOT NULL, seen_epoch INTEGER NOT NULL,
    paused INTEGER NOT NULL, reloads INTEGER NOT NULL,
    terms TEXT NOT NULL, grants TEXT NOT NULL
);
CREATE TABLE pins(name TEXT PRIMARY KEY, network_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE reply_grants(
    reply_to TEXT, replier TEXT, requester TEXT NOT NULL, link INTEGER NOT NULL,
    remaining INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY(reply_to, replier)
) WITHOUT ROWID;
CREATE INDEX reply_grants_until ON reply_grants(until);
CREATE TABLE audit(
    n INTEGER PRIMARY KEY, at INTEGER NOT NULL, link INTEGER NOT NULL,
    way TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,  -- seqs; 0 for what is not stored
    id TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    rule TEXT NOT NULL, verdict TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX audit_last ON audit(last) WHERE last > 0;
CREATE INDEX audit_id ON audit(id) WHERE id <> '';
"""


def _links(db: apsw.Connection) -> None:
    db.execute(_LINKS)


_RUNS = """
ALTER TABLE pending RENAME TO entries;
CREATE TABLE pending(
    mailbox INTEGER, rank INTEGER,
    first INTEGER NOT NULL, last INTEGER,  -- seqs; each between them is an entry
    attempt INTEGER NOT NULL, due INTEGER NOT NULL, expires INTEGER NOT NULL,
    shared INTEGER NOT NULL,      -- 1: of a message in several mailboxes, first = last
    size INTEGER,                 -- of each, or NULL: that of its header and body
    PRIMARY KEY(mailbox, rank, last)
) WITHOUT ROWID;
INSERT INTO pending
    SELECT mailbox, rank, seq, seq, attempt, due, expires, 1, size
    FROM entries WHERE shared = 1;
"""
_RUNS_AFTER = """
DROP TABLE entries;
CREATE INDEX pending_due ON pending(due) WHERE due > 0;
CREATE INDEX pending_expires ON pending(expires) WHERE expires > 0;
CREATE INDEX pending_shared ON pending(last) WHERE shared = 1;

-- The counters get the row of mailbox 0, which is none: one page less for each turn.
ALTER TABLE totals ADD COLUMN counters TEXT;
INSERT INTO totals SELECT 0, 0, 0, packed FROM counters;
DROP TABLE counters;
"""


def _runs(db: apsw.Connection) -> None:
    db.execute(_RUNS)
    entries = db.execute(
        "SELECT mailbox, rank, attempt, due, expires, size, seq FROM entries"
        " WHERE shared = 0 ORDER BY mailbox, rank, seq"
    )
    db.executemany(
        "INSERT INTO pending VALUES(?1, ?2, ?7, ?8, ?3, ?4, ?5, 0, ?6)",
        joined(entries),
    )
    db.execute(_RUNS_AFTER)


_ERAS = """
CREATE TABLE eras(
    first INTEGER PRIMARY KEY,    -- seq; the words of the era are in words_FIRST
    began INTEGER NOT NULL,       -- when that was accepted
    bytes INTEGER NOT NULL,       -- of words
    gone INTEGER NOT NULL         -- 1 while it is being dropped
);
"""
_FIRST_ERA = """
ALTER TABLE words RENAME TO words_0;
INSERT INTO eras VALUES(0, 0, 0, 0);
"""


def _eras(db: apsw.Connection) -> None:
    db.execute(_ERAS)
    indexed = db.execute("SELECT indexed_to FROM meta").get
    db.execute(_FIRST_ERA if indexed else "DROP TABLE words")


_PAUSES = """
CREATE TABLE pauses(agent INTEGER PRIMARY KEY);  -- 0: the whole network
"""


def _pauses(db: apsw.Connection) -> None:
    db.execute(_PAUSES)


_UPLOADS = """
-- Under which its pieces are in blob_chunks: a row may change its name at once, however
-- many pieces it has. An upload has a name of its own until its hash is known, and one
-- that is being purged has one that nobody asks for.
ALTER TABLE blobs ADD COLUMN pieces TEXT NOT NULL DEFAULT '';
UPDATE blobs SET pieces = sha256;

-- Who uploaded an attachment that was there already.
CREATE TABLE blob_owners(
    sha256 TEXT, agent INTEGER, PRIMARY KEY(sha256, agent)
) WITHOUT ROWID;
"""


def _uploads(db: apsw.Connection) -> None:
    db.execute(_UPLOADS)


MIGRATIONS: Final[tuple[Callable[[apsw.Connection], None], ...]] = (
    _first,
    _links,
    _runs,
    _eras,
    _pauses,
    _uploads,
)

KNOWN: Final = len(MIGRATIONS)
"""The schema that this version writes."""

LINKS: Final = 2
"""The first schema with links to other networks."""

RUNS: Final = 3
"""The first schema with runs; before it each row of `pending` was one entry."""


def migrate(db: apsw.Connection, found: int) -> None:
    """Bring a database of schema `found` to `KNOWN`, in one transaction."""
    if found == KNOWN:
        return
    with db:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for number, migration in enumerate(MIGRATIONS[found:], found + 1):
            migration(db)
            db.execute("INSERT INTO migrations VALUES(?, unixepoch())", (number,))
        db.execute(f"PRAGMA user_version = {KNOWN}")
