"""What passes between networks, in memory: `base.Crossings`."""

from __future__ import annotations

from collections.abc import Sequence

from ipcbus.store.base import FOREIGN_ID_MS
from ipcbus.store.memory.state import State
from ipcbus.store.records import Audit, Entry, LinkRow, ReplyGrant, Waiting


class MemoryCrossings:
    """`base.Crossings` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put_link(self, link: LinkRow) -> None:
        self._state.write()
        self._state.link_rows.put(link.agent, link)

    def put_pin(self, name: str, network_id: str) -> None:
        self._state.write()
        if network_id:
            self._state.pins.put(name, network_id)
        else:
            self._state.pins.pop(name)

    def wake(self, mailbox: int) -> None:
        self._state.write()
        for entry in self._of(mailbox):
            if entry.due:
                self._state.pending.put(entry[:3], entry._replace(due=0))  # type: ignore[arg-type]

    def delayed(self, mailbox: int) -> int:
        return sum(1 for entry in self._of(mailbox) if entry.due)

    def late(self, mailbox: int, until: int, after: int, limit: int) -> list[Waiting]:
        found = []
        for entry in sorted(self._of(mailbox), key=lambda entry: entry.seq):
            row = self._state.messages[entry.seq]
            if entry.seq > after and row.accepted_at <= until:
                found.append(Waiting(entry, row.header, row.body))
        return found[:limit]

    def _of(self, mailbox: int) -> list[Entry]:
        return [e for e in self._state.pending.values() if e.mailbox == mailbox]

    def put_grants(self, grants: Sequence[ReplyGrant]) -> None:
        self._state.write()
        for grant in grants:
            self._state.grants.put((grant.reply_to, grant.replier), grant)

    def grant(self, reply_to: str, replier: str) -> ReplyGrant | None:
        return self._state.grants.get((reply_to, replier))

    def record(self, rows: Sequence[Audit]) -> None:
        self._state.write()
        for row in rows:
            last = self._state.audit.values()[-1:]
            n = last[0].n + 1 if last else 1
            self._state.audit.put(n, row._replace(n=n))

    def audit(self, after: int, limit: int) -> list[Audit]:
        return [row for row in self._state.audit.values() if row.n > after][:limit]

    def traced(self, id_: str, seq: int) -> list[Audit]:
        return [
            row
            for row in self._state.audit.values()
            if (row.id and row.id == id_) or (seq and row.first <= seq <= row.last)
        ]

    def purge(self, now: int, history_ms: int) -> None:
        keep = max(history_ms, FOREIGN_ID_MS)
        for row in self._state.audit.values():
            if row.at <= now - keep:
                self._state.audit.pop(row.n)
        for key in self._state.grants.in_order():
            if self._state.grants[key].until <= now:
                self._state.grants.pop(key)
