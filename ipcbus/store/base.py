"""The contract between a broker and what keeps its promises.

A store belongs to one broker. The broker opens it once, and from then on each turn
of its loop is one transaction:

    store.begin()            checks the epoch: a broker that was taken over is `Fenced`
    ... reads and writes ... through the four parts below; a read sees the writes
    store.commit()           returns when a power cut can take nothing back

`begin` and `commit` are cheap when nothing is written in between. After any exception
out of a store, except `NoSuchMessage` and `InvalidMessage`, the transaction is void and
nothing of it will ever be seen; the broker forgets its memory and starts over from the
store, or stops. No frame of a turn leaves before its commit.

Errors: `StoreFull` (no room; reads and removals still work), `StoreFailed` (I/O error
or damage: stop at once, without an answer), `Fenced`.

Five parts, by concern: `mail` (messages and where they wait), `registry` (agents,
keys, topics), `crossings` (what passes between networks), `blobs` (attachments),
`archive` (history, search, purging).

Times are UTC milliseconds. `seq` is given by the broker: it rises by one for each
message accepted and is never used again. A mailbox is the number of its agent.

`store/memory.py` and `store/sqlite/` pass one conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from ipcbus.protocol.limits import MAX_HOLD_MS
from ipcbus.store.records import (
    Agent,
    AgentKey,
    Alias,
    Audit,
    Blob,
    Dead,
    Entry,
    Found,
    Key,
    LinkRow,
    Mailbox,
    Place,
    ReplyGrant,
    Row,
    Run,
    Snapshot,
    Subscription,
    Waiting,
)

ID_MS: Final = 24 * 3600 * 1000
"""How long an id is known at least, whatever becomes of the message: a client that was
away may send again for as long."""

PRESSED_ID_MS: Final = 10 * 60 * 1000
"""The same when the store is nearly full."""

FOREIGN_ID_MS: Final = MAX_HOLD_MS + 24 * 3600 * 1000
"""How long the id of a message of another network is known, also under pressure: its
source may hand it over again for `MAX_HOLD_MS`."""

UNUSED_BLOB_MS: Final = 3600 * 1000
"""How long an attachment stays that no message refers to (yet, or any more)."""


class Mail(Protocol):
    """Messages, and the mailboxes they wait in."""

    def add(
        self,
        rows: Sequence[Row],
        entries: Sequence[Entry],
        places: Sequence[Place] = (),
    ) -> list[int]:
        """Store messages and where they wait.

        Returns the positions in `rows` whose id is there already (also earlier in the
        same call); of those, neither the row nor its entries are stored. Entries belong
        to rows by `seq`, which is unique in `rows` and rising; those of most rows are
        said as `places`, because that costs nothing for each.
        """

    def find(self, id_: str) -> Row | None:
        """The message with this id, waiting or past."""

    def page(
        self, mailbox: int, after: tuple[int, int], limit: int, most_bytes: int
    ) -> list[Waiting]:
        """Entries with `(rank, seq) > after` and `due` 0, in order.

        At most `limit`, and no more than `most_bytes` of bodies but at least one entry
        if there is any.
        """

    def get(self, key: Key) -> Waiting | None:
        """One entry."""

    def entries_of(self, seq: int) -> list[Entry]:
        """Every mailbox in which a message still waits."""

    def find_reply(
        self, mailbox: int, reply_to: str, is_free: Callable[[int], bool]
    ) -> Waiting | None:
        """The first entry of a mailbox that answers message `reply_to`, has `due` 0,
        and whose seq is free."""

    def set_attempts(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        """`(attempt, mailbox, rank, seq)` of entries that were leased or released."""

    def set_due(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        """`(due, mailbox, rank, seq)`."""

    def set_expires(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        """`(expires, mailbox, rank, seq)`."""

    def remove(self, keys: Sequence[Key], *, keep: bool) -> None:
        """Entries are done with.

        `keep`: their messages stay as history. Else the content goes when the last
        entry of a message has gone; the id stays, so that a late resend is still known.
        """

    def remove_runs(self, runs: Sequence[Run], *, keep: bool) -> None:
        """As `remove`."""

    def due(self, now: int, limit: int) -> list[Entry]:
        """Entries with `0 < due <= now`, earliest first."""

    def expired(self, now: int, limit: int) -> list[Waiting]:
        """Entries with `0 < expires <= now`, earliest first."""

    def next_deadline(self) -> int | None:
        """The earliest `due` or `expires` that is not 0."""

    def bury(self, key: Key, code: str, reason: str, at: int) -> None:
        """Turn an entry into a dead letter."""

    def dead(self, mailbox: int | None, after: int, limit: int) -> list[Dead]:
        """Dead letters with `seq > after` of one mailbox or of all, in order.

        At most `limit`, but those of one message are never split between two pages.
        """

    def find_dead(self, mailbox: int | None, id_: str) -> list[Dead]:
        """The dead letters that message `id_` has left."""

    def exhume(self, key: Key) -> None:
        """Turn a dead letter into an entry again: attempt, due and expires 0."""

    def drop_dead(self, key: Key, *, keep: bool) -> None:
        """Forget a dead letter; `keep` as for `remove`."""

    def put_totals(self, totals: Sequence[Mailbox]) -> None:
        """Set the totals that `Snapshot.mailboxes` gives at the next start."""


class Registry(Protocol):
    """Agents, keys, names, topics, counters. Small; the broker holds it in memory."""

    def put_agent(self, agent: Agent) -> None: ...

    def delete_agent(self, number: int) -> None:
        """Of which nothing waits; its number is never given again."""

    def put_key(self, key: AgentKey) -> None: ...

    def delete_key(self, key: str) -> None: ...

    def put_alias(self, alias: Alias) -> None: ...

    def delete_alias(self, name: str) -> None: ...

    def put_subscription(self, subscription: Subscription) -> None: ...

    def delete_subscription(self, subscription: Subscription) -> None: ...

    def put_pause(self, agent: int, paused: int) -> None:
        """Whether an agent, or 0 for the network, is paused: 1 or 0."""

    def put_counters(self, counters: Mapping[str, int]) -> None:
        """Replace the counters; called at most once a transaction."""


class Crossings(Protocol):
    """What passes between networks, and what may come back."""

    def put_link(self, link: LinkRow) -> None: ...

    def put_pin(self, name: str, network_id: str) -> None:
        """The id of the network that is called `name` (folded); "" forgets it."""

    def wake(self, mailbox: int) -> None:
        """Nothing in this mailbox is delayed any more: set every `due` to 0."""

    def delayed(self, mailbox: int) -> int:
        """Entries of a mailbox that are delayed."""

    def late(self, mailbox: int, until: int, after: int, limit: int) -> list[Waiting]:
        """Entries of a mailbox accepted up to `until`, with `seq > after`, by seq."""

    def put_grants(self, grants: Sequence[ReplyGrant]) -> None:
        """Rights to answer; one that is there already is replaced."""

    def grant(self, reply_to: str, replier: str) -> ReplyGrant | None: ...

    def record(self, rows: Sequence[Audit]) -> None:
        """Add to the audit trail; `n` is given by the store."""

    def audit(self, after: int, limit: int) -> list[Audit]:
        """The trail from row `after` on, in order."""

    def traced(self, id_: str, seq: int) -> list[Audit]:
        """What the trail has of one message: by its id, or by its seq if not 0."""


class Blobs(Protocol):
    """Attachments, stored once by SHA-256, in pieces.

    Until its hash is known to be right, each upload has a name of its own, and gets
    the SHA-256 for a name when it is sealed. One that was never announced, has been
    dropped, or of which purging has taken anything, is `NoSuchMessage`.
    """

    def begin(self, sha256: str, size: int, owner: int, at: int) -> Blob:
        """Announce one; one that is there already is returned as it is, and if nothing
        refers to it, its time to be purged starts anew."""

    def get(self, sha256: str) -> Blob | None: ...

    def append(self, sha256: str, data: bytes) -> int:
        """Add a piece at the end; returns the bytes now stored."""

    def restart(self, sha256: str) -> None:
        """Throw away the pieces of one that is not sealed."""

    def seal(self, sha256: str) -> None:
        """It is whole and its hash was right."""

    def rename(self, upload: str, sha256: str) -> None:
        """Call one otherwise; who else was called so is dropped."""

    def drop(self, sha256: str) -> None:
        """Forget one to which no message refers, if it is there. Its pieces may go
        later, when house is kept."""

    def own(self, sha256: str, agent: int) -> None:
        """`agent` uploaded it too: remembered for as long as it is here."""

    def read(self, sha256: str, offset: int, length: int) -> bytes: ...

    def link(self, seq: int, sha256: str) -> None:
        """Message `seq` refers to it; it stays while any such message does."""

    def readable(self, sha256: str, agent: int) -> bool:
        """Whether `agent` uploaded it, or sent or was sent a message that refers to
        it."""


class Archive(Protocol):
    """The past: kept off the hot path, filled and purged in small steps."""

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
        """Messages that `agent` sent or was sent (None: any), newest first.

        `other` keeps those exchanged with that agent, `thread` those of a thread,
        `before` those with a lower seq. Bodies are cut after `most_body` bytes.
        """

    def search(
        self,
        agent: int | None,
        query: str,
        *,
        limit: int,
        before: int | None,
        most_body: int | None = None,
    ) -> list[Found]:
        """The same, by words in body and data: all of them must occur; `word*` is a
        prefix and `"two words"` a phrase. Raises `InvalidMessage` on a bad query."""

    def was_sent(self, seq: int, agent: int) -> bool:
        """Whether message `seq` went, or will go, to the mailbox of `agent`."""

    def state(self, seq: int, agent: int | None) -> str:
        """`waiting`, `dead` or `done`.

        In the mailbox of `agent` if the message was sent to it, else (`agent` sent it,
        or is None) in any mailbox.
        """

    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        """Do a step of at most `limit` rows of indexing and purging.

        Purged are messages accepted at least `history_ms` ago that wait nowhere and are
        no dead letters; their ids stay for `ID_MS`, those of other networks for
        `FOREIGN_ID_MS`. Grants go when their time is over, the audit trail with the
        history. Attachments go when no message
        refers to them for `UNUSED_BLOB_MS`. Under pressure (little room) the oldest go
        before their time. Returns whether there is more to do.
        """


class Store(Protocol):
    """One network's durable state."""

    @property
    def mail(self) -> Mail: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def crossings(self) -> Crossings: ...

    @property
    def blobs(self) -> Blobs: ...

    @property
    def archive(self) -> Archive: ...

    def open(self) -> Snapshot:
        """Take the store over: raises the epoch, committed. Call it once."""

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None:
        """Undo all since `begin`; harmless when there is nothing to undo."""

    def room(self, *, ours: bool = False) -> int:
        """Bytes that can be added with certainty; 0 means: full.

        `ours`: of what the broker itself has to say, rows whose sender is 0. They may
        take a part of what is kept for removals: a full store could not bounce what
        has expired otherwise, and would stay full.
        """

    def backup(self, path: Path) -> Iterator[int]:
        """Copy the store to a new file in steps, between transactions.

        Yields the bytes copied so far; the copy is whole when the iterator ends.
        Raises `StoreFailed` when the target cannot be written.
        """

    def facts(self) -> dict[str, int | str]:
        """Size, pages, version and so on, for status and doctor."""

    def close(self) -> None:
        """Idempotent."""
