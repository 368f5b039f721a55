"""History, search and purging in memory: `base.Archive`.

Nothing is indexed: history and search look at the newest messages one by one, and only
at so many that a broker is not held up for long.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, takewhile
from typing import Final

from ipcbus.store.base import FOREIGN_ID_MS, ID_MS, PRESSED_ID_MS, UNUSED_BLOB_MS
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus.store.memory.state import State
from ipcbus.store.records import Found, Row
from ipcbus.store.words import occurs, parse_query, searchable

MOST_LISTED: Final = 200_000
"""Messages that history looks at for one answer: a tenth of a second."""

MOST_SEARCHED: Final = 20_000
"""The same for a search, which takes each apart into words."""

SCAN: Final = 4
"""Messages that a step of purging may look at for each of its `limit`."""

_EVER: Final = 2**63 - 1


class MemoryArchive:
    """`base.Archive` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._crossings = MemoryCrossings(state)
        self._at = 0

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
        def wanted(row: Row) -> bool:
            if thread not in (None, row.thread):
                return False
            if agent is None or other is None:
                one = agent if agent is not None else other
                return one is None or self._took_part(row, one)
            return (row.sender == agent and self._got(row, other)) or (
                row.sender == other and self._got(row, agent)
            )

        rows = self._select(limit, before, wanted, MOST_LISTED)
        return self._found(rows, agent, most_body)

    def search(
        self,
        agent: int | None,
        query: str,
        *,
        limit: int,
        before: int | None,
        most_body: int | None = None,
    ) -> list[Found]:
        terms = parse_query(query)

        def wanted(row: Row) -> bool:
            if agent is not None and not self._took_part(row, agent):
                return False
            texts = searchable(row.header, row.body)
            return all(any(occurs(term, text) for text in texts) for term in terms)

        rows = self._select(limit, before, wanted, MOST_SEARCHED)
        return self._found(rows, agent, most_body)

    def _select(
        self,
        limit: int,
        before: int | None,
        wanted: Callable[[Row], bool],
        looked_at: int,
    ) -> list[Row]:
        messages = self._state.messages
        newest = messages.before(_EVER if before is None else before)
        rows = (messages[seq] for seq in islice(newest, looked_at))
        return list(islice((row for row in rows if row.header and wanted(row)), limit))

    def _found(
        self, rows: list[Row], agent: int | None, most_body: int | None
    ) -> list[Found]:
        found = []
        for row in rows:
            body, state = row.body[:most_body], self.state(row.seq, agent)
            size = len(row.body) if len(body) < len(row.body) else None
            found.append(Found(row.seq, state, row.header, body, size))
        return found

    def _got(self, row: Row, agent: int) -> bool:
        return agent in self._state.mailboxes_of(row)

    def _took_part(self, row: Row, agent: int) -> bool:
        return row.sender == agent or self._got(row, agent)

    def was_sent(self, seq: int, agent: int) -> bool:
        row = self._state.messages.get(seq)
        return row is not None and self._got(row, agent)

    def state(self, seq: int, agent: int | None) -> str:
        row = self._state.messages.get(seq)
        if row is None:
            return "done"
        own = agent if agent is not None and self._got(row, agent) else None
        if any(own in (None, e.mailbox) for e in self._state.entries_of(row)):
            return "waiting"
        if any(own in (None, g.entry.mailbox) for g in self._state.graves_of(row)):
            return "dead"
        return "done"

    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        self._state.write()
        pressed = self._state.room() < self._state.limit // 16
        keep_content = 0 if pressed else history_ms
        keep_ids = PRESSED_ID_MS if pressed else max(history_ms, ID_MS)
        more = self._forget(now, keep_content, keep_ids, limit)
        more |= self._crossings.purge(now, history_ms, limit)
        self._drop_blobs(now)
        return more

    def _forget(self, now: int, keep_content: int, keep_ids: int, limit: int) -> bool:
        """A step through the messages, from where the last one stopped; whether it
        was not the last."""
        state = self._state
        rows = self._old(now - keep_content, SCAN * limit)
        purged: list[Row] = []
        stripped: list[Row] = []
        for row in filter(state.is_done, rows):
            known_ms = max(keep_ids, FOREIGN_ID_MS) if "@" in row.id else keep_ids
            old = row.accepted_at <= now - known_ms
            (purged if old else stripped).append(row)
        state.purge(purged)
        state.strip(stripped)
        self._at = rows[-1].seq if len(rows) == SCAN * limit else 0
        return self._at > 0

    def _old(self, until: int, most: int) -> list[Row]:
        """The next messages accepted up to a time; times rise with `seq`."""
        messages = self._state.messages
        rows = (messages[seq] for seq in messages.after(self._at))
        return list(islice(takewhile(lambda row: row.accepted_at <= until, rows), most))

    def _drop_blobs(self, now: int) -> None:
        blobs = self._state.blobs
        for sha256 in blobs.in_order():
            upload = blobs[sha256]
            linked = next(self._state.linked.after((sha256,)), None)
            if linked is not None and linked[0] == sha256:
                continue
            if not upload.unused_since:
                blobs.put(sha256, upload._replace(unused_since=now))
            elif upload.unused_since <= now - UNUSED_BLOB_MS:
                self._state.use(-upload.stored)
                blobs.pop(sha256)
