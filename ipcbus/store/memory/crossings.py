"""What passes between networks, in memory: `base.Crossings`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile

from ipcbus.store.base import FOREIGN_ID_MS
from ipcbus.store.memory.mail import MemoryMail
from ipcbus.store.memory.state import State
from ipcbus.store.records import Audit, LinkRow, ReplyGrant, Waiting


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
        delayed = self._delayed(mailbox)
        MemoryMail(self._state).set_due([(0, *key) for key in delayed])

    def delayed(self, mailbox: int) -> int:
        return len(self._delayed(mailbox))

    def _delayed(self, mailbox: int) -> list[tuple[int, int, int]]:
        return [
            (box, rank, seq)
            for _, box, rank, seq in self._state.dues.in_order()
            if box == mailbox
        ]

    def late(self, mailbox: int, until: int, after: int, limit: int) -> list[Waiting]:
        found = []
        for rank, queue in self._state.queues.get(mailbox, {}).items():
            for seq in islice(queue.after(after), limit):
                row = self._state.messages[seq]
                if row.accepted_at > until:
                    break
                entry = self._state.entry_by(mailbox, rank, seq, queue[seq])
                found.append(Waiting(entry, row.header, row.body))
        found.sort(key=lambda waiting: waiting.entry.seq)
        return found[:limit]

    def put_grants(self, grants: Sequence[ReplyGrant]) -> None:
        self._state.write()
        for grant in grants:
            key = grant.reply_to, grant.replier
            self._drop_grant(key)
            self._state.grants.put(key, grant)
            self._state.grant_ends.put((grant.until, *key), True)

    def _drop_grant(self, key: tuple[str, str]) -> None:
        old = self._state.grants.pop(key)
        if old:
            self._state.grant_ends.pop((old.until, *key))

    def grant(self, reply_to: str, replier: str) -> ReplyGrant | None:
        return self._state.grants.get((reply_to, replier))

    def record(self, rows: Sequence[Audit]) -> None:
        self._state.write()
        first = (self._state.audit.last() or 0) + 1
        for n, row in enumerate(rows, first):
            self._state.audit.put(n, row._replace(n=n))

    def audit(self, after: int, limit: int) -> list[Audit]:
        trail = self._state.audit
        return [trail[n] for n in islice(trail.after(after), limit)]

    def traced(self, id_: str, seq: int) -> list[Audit]:
        return [
            row
            for row in self._state.audit.values()
            if (row.id and row.id == id_) or (seq and row.first <= seq <= row.last)
        ]

    def purge(self, now: int, history_ms: int, limit: int) -> bool:
        """Forget what is over, a step; whether there may be more."""
        until = now - max(history_ms, FOREIGN_ID_MS)
        trail, ends = self._state.audit, self._state.grant_ends
        old = takewhile(lambda n: trail[n].at <= until, trail.after(0))
        gone = len(trail.pop_all(list(islice(old, limit))))
        over = takewhile(lambda end: end[0] <= now, ends.after((0,)))
        for _, *key in list(islice(over, limit)):
            self._drop_grant((key[0], key[1]))
            gone += 1
        return gone >= limit
