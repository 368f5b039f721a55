"""Messages and mailboxes in memory: `base.Mail` as plainly as it can be said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipcbus.store.memory.state import Grave, State
from ipcbus.store.records import Dead, Entry, Key, Mailbox, Place, Row, Run, Waiting


class MemoryMail:
    """`base.Mail` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        rows: Sequence[Row],
        entries: Sequence[Entry],
        places: Sequence[Place] = (),
    ) -> list[int]:
        if places:
            entries = [*entries, *_placed(rows, places)]
        state = self._state
        state.write()
        state.use(0)
        duplicates = []
        added = set()
        for at, row in enumerate(rows):
            if row.id in state.ids:
                duplicates.append(at)
                continue
            state.use(len(row.header) + len(row.body))
            state.ids.put(row.id, row.seq)
            state.messages.put(row.seq, row)
            added.add(row.seq)
        for entry in entries:
            if entry.seq in added:
                state.pending.put(Key(*entry[:3]), entry)
                old = state.recipients.get(entry.seq) or ()
                state.recipients.put(entry.seq, (*old, entry.mailbox))
        return duplicates

    def find(self, id_: str) -> Row | None:
        seq = self._state.ids.get(id_)
        return None if seq is None else self._state.messages[seq]

    # --- waiting -------------------------------------------------------------

    def page(
        self, mailbox: int, after: tuple[int, int], limit: int, most_bytes: int
    ) -> list[Waiting]:
        found: list[Waiting] = []
        left = most_bytes
        for entry in self._state.pending.after((mailbox, *after)):
            if entry.mailbox != mailbox or len(found) == limit:
                break
            if entry.due:
                continue
            waiting = self._waiting(entry)
            left -= len(waiting.body)
            if left < 0 and found:
                break
            found.append(waiting)
        return found

    def get(self, key: Key) -> Waiting | None:
        entry = self._state.pending.get(key)
        return self._waiting(entry) if entry else None

    def entries_of(self, seq: int) -> list[Entry]:
        row = self._state.messages.get(seq)
        return self._state.entries_of(row) if row else []

    def find_reply(self, mailbox: int, reply_to: str) -> Waiting | None:
        for entry in self._state.pending.after((mailbox,)):
            if entry.mailbox != mailbox:
                break
            if self._state.messages[entry.seq].reply_to == reply_to:
                return self._waiting(entry)
        return None

    def due(self, now: int, limit: int) -> list[Entry]:
        found = [e for e in self._state.pending.values() if 0 < e.due <= now]
        return sorted(found, key=lambda entry: entry.due)[:limit]

    def expired(self, now: int, limit: int) -> list[Waiting]:
        found = [e for e in self._state.pending.values() if 0 < e.expires <= now]
        found.sort(key=lambda entry: entry.expires)
        return [self._waiting(entry) for entry in found[:limit]]

    def next_deadline(self) -> int | None:
        times = (
            at for e in self._state.pending.values() for at in (e.due, e.expires) if at
        )
        return min(times, default=None)

    def _waiting(self, entry: Entry) -> Waiting:
        row = self._state.messages[entry.seq]
        return Waiting(entry, row.header, row.body)

    # --- changing ------------------------------------------------------------

    def set_attempts(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("attempt", changes)

    def set_due(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("due", changes)

    def set_expires(self, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._set("expires", changes)

    def _set(self, field: str, changes: Sequence[tuple[int, int, int, int]]) -> None:
        self._state.write()
        for value, *rest in changes:
            key = Key(*rest)
            entry = self._state.pending.get(key)
            if entry:
                self._state.pending.put(key, entry._replace(**{field: value}))

    def remove(self, keys: Sequence[Key], *, keep: bool) -> None:
        self._state.write()
        for key in keys:
            if self._state.pending.pop(key) and not keep:
                self._state.strip(key.seq)

    def remove_runs(self, runs: Sequence[Run], *, keep: bool) -> None:
        keys = [
            Key(mailbox, rank, seq)
            for mailbox, rank, first, last in runs
            for seq in range(first, last + 1)
        ]
        self.remove(keys, keep=keep)

    def put_totals(self, totals: Sequence[Mailbox]) -> None:
        self._state.write()
        for total in totals:
            self._state.totals.put(total.mailbox, total)

    # --- dead letters --------------------------------------------------------

    def bury(self, key: Key, code: str, reason: str, at: int) -> None:
        self._state.write()
        entry = self._state.pending.pop(key)
        if entry:
            self._state.dead.put(_grave_key(key), Grave(entry, code, reason, at))

    def dead(self, mailbox: int | None, after: int, limit: int) -> list[Dead]:
        found: list[Dead] = []
        for grave in self._state.dead.after((after + 1,)):
            if mailbox not in (None, grave.entry.mailbox):
                continue
            if len(found) >= limit and found[-1].seq != grave.entry.seq:
                break
            found.append(self._dead(grave))
        return found

    def find_dead(self, mailbox: int | None, id_: str) -> list[Dead]:
        row = self.find(id_)
        graves = self._state.graves_of(row) if row else []
        return [
            self._dead(grave)
            for grave in graves
            if mailbox in (None, grave.entry.mailbox)
        ]

    def exhume(self, key: Key) -> None:
        self._state.write()
        grave = self._state.dead.pop(_grave_key(key))
        if grave:
            entry = grave.entry._replace(attempt=0, due=0, expires=0)
            self._state.pending.put(key, entry)

    def drop_dead(self, key: Key, *, keep: bool) -> None:
        self._state.write()
        if self._state.dead.pop(_grave_key(key)) and not keep:
            self._state.strip(key.seq)

    def _dead(self, grave: Grave) -> Dead:
        entry = grave.entry
        row = self._state.messages[entry.seq]
        return Dead(
            *entry[:4],
            shared=entry.shared,
            size=entry.size,
            code=grave.code,
            reason=grave.reason,
            at=grave.at,
            header=row.header,
            body=row.body,
        )


def _grave_key(key: Key) -> tuple[int, int, int]:
    return key.seq, key.mailbox, key.rank


def _placed(rows: Sequence[Row], places: Sequence[Place]) -> Iterator[Entry]:
    """The entries that are meant by places."""
    first = rows[0].seq
    for place in places:
        for row in rows[place.first - first : place.last - first + 1]:
            size = len(row.header) + len(row.body)
            yield Entry(
                place.mailbox,
                place.rank,
                row.seq,
                place.attempt,
                0,
                place.expires,
                0,
                size,
            )
