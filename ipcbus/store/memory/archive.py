"""History, search and purging in memory: `base.Archive`."""

from __future__ import annotations

from collections.abc import Callable

from ipcbus.store.base import FOREIGN_ID_MS, ID_MS, PRESSED_ID_MS, UNUSED_BLOB_MS
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus.store.memory.state import State
from ipcbus.store.records import Found, Row
from ipcbus.store.words import occurs, parse_query, searchable


class MemoryArchive:
    """`base.Archive` on `State`: nothing is indexed, `maintain` does all at once."""

    def __init__(self, state: State) -> None:
        self._state = state

    def history(
        self,
        agent: int | None,
        *,
        limit: int,
        before: int | None,
        other: int | None,
        thread: str | None,
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

        return self._select(agent, limit, before, wanted)

    def search(
        self, agent: int | None, query: str, *, limit: int, before: int | None
    ) -> list[Found]:
        terms = parse_query(query)

        def wanted(row: Row) -> bool:
            if agent is not None and not self._took_part(row, agent):
                return False
            texts = searchable(row.header, row.body)
            return all(any(occurs(term, text) for text in texts) for term in terms)

        return self._select(agent, limit, before, wanted)

    def _select(
        self,
        agent: int | None,
        limit: int,
        before: int | None,
        wanted: Callable[[Row], bool],
    ) -> list[Found]:
        found: list[Found] = []
        for row in reversed(self._state.messages.values()):
            if len(found) == limit:
                break
            if (before is None or row.seq < before) and row.header and wanted(row):
                state = self.state(row.seq, agent)
                found.append(Found(row.seq, state, row.header, row.body))
        return found

    def _got(self, row: Row, agent: int) -> bool:
        got = self._state.recipients.get(row.seq) or ()
        return agent == row.mailbox or agent in got

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
        state = self._state
        state.write()
        pressed = state.capacity is not None and state.room() < state.capacity // 16
        keep_content = 0 if pressed else history_ms
        keep_ids = PRESSED_ID_MS if pressed else max(history_ms, ID_MS)
        for row in state.messages.values():
            foreign = "@" in row.id
            known_ms = max(keep_ids, FOREIGN_ID_MS) if foreign else keep_ids
            if row.accepted_at <= now - known_ms and state.is_done(row):
                state.purge(row)
            elif row.accepted_at <= now - keep_content:
                state.strip(row.seq)
        MemoryCrossings(state).purge(now, history_ms)
        self._drop_blobs(now)
        return False

    def _drop_blobs(self, now: int) -> None:
        blobs = self._state.blobs
        used = {sha256 for _, sha256 in self._state.links.in_order()}
        for sha256 in blobs.in_order():
            upload = blobs[sha256]
            if sha256 in used:
                continue
            if not upload.unused_since:
                blobs.put(sha256, upload._replace(unused_since=now))
            elif upload.unused_since <= now - UNUSED_BLOB_MS:
                self._state.use(-len(upload.data))
                blobs.pop(sha256)
