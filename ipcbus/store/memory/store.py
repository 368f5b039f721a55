"""A store that forgets everything when its process ends: for volatile networks, tests
and simulations.

It gives the same answers as the durable one, but for searches of a long past (see
`archive.py`). A test can tell it to be full (`capacity`) or to have been taken over
(`usurp`). One object can be opened again and again, as a disk outlives the brokers that
use it: `close` and `open` keep what was committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ipcbus.errors import Fenced, StoreFailed
from ipcbus.store.memory.archive import MemoryArchive
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus.store.memory.mail import MemoryMail
from ipcbus.store.memory.parts import MemoryBlobs, MemoryRegistry
from ipcbus.store.memory.state import State
from ipcbus.store.records import Snapshot

STORE_BYTES: Final = 1 << 30

MESSAGE_BYTES: Final = 600
"""What a message takes beside its content: objects, and its places in tables."""


class MemoryStore:
    """`base.Store` in dictionaries.

    Args:
        network: named in errors.
        store_bytes: memory that messages and attachments may take, about.
        capacity: instead, bytes of their contents alone, for tests.
    """

    def __init__(
        self,
        *,
        network: str = "test",
        store_bytes: int = STORE_BYTES,
        capacity: int | None = None,
    ) -> None:
        if capacity is None:
            self._state = State(network, store_bytes, MESSAGE_BYTES)
        else:
            self._state = State(network, capacity, 0)
        self._ours = 0
        self._open = False
        self._turn = False
        self.mail = MemoryMail(self._state)
        self.registry = MemoryRegistry(self._state)
        self.crossings = MemoryCrossings(self._state)
        self.blobs = MemoryBlobs(self._state)
        self.archive = MemoryArchive(self._state)
        self._state.check_fence = self._check_fence

    def open(self) -> Snapshot:
        state = self._state
        state.roll_back()
        state.epoch += 1
        self._ours = state.epoch
        self._open, self._turn = True, False
        newest = state.messages.get(state.messages.last() or 0)
        return Snapshot(
            epoch=state.epoch,
            last_seq=max(state.purged_seq, newest.seq if newest else 0),
            last_wall=max(state.purged_wall, newest.accepted_at if newest else 0),
            counters=dict(state.counters.get(0) or {}),
            agents=state.agents.values(),
            keys=state.keys.values(),
            aliases=state.aliases.values(),
            subscriptions=state.subscriptions.values(),
            mailboxes=[
                total
                for total in state.totals.values()
                if total.messages or total.bytes
            ],
            network_id=blake2b(state.network.encode(), digest_size=8).hexdigest(),
            links=state.link_rows.values(),
            pins={name: state.pins[name] for name in state.pins.in_order()},
            pauses=state.pauses.in_order(),
        )

    def usurp(self) -> None:
        """As if another broker had taken the store over."""
        self._state.epoch += 1

    def _check_fence(self) -> None:
        assert self._turn, "a write outside of begin and commit"
        theirs = self._state.epoch
        if theirs != self._ours:
            self.rollback()
            raise Fenced(network=self._state.network, theirs=theirs, ours=self._ours)

    def begin(self) -> None:
        assert self._open, "the store is not open"
        assert not self._turn, "a turn is open already"
        self._turn = True

    def commit(self) -> None:
        self._turn = False
        self._state.undo.clear()

    def rollback(self) -> None:
        self._turn = False
        self._state.roll_back()

    def room(self, *, ours: bool = False) -> int:
        return self._state.room()

    def backup(self, path: Path) -> Iterator[int]:
        """Only what a test may look at: the ids, as JSON."""
        ids = [row.id for row in self._state.messages.values()]
        try:
            with path.open("x") as file:
                path.chmod(0o600)
                yield file.write(json.dumps(ids))
        except OSError as error:
            raise StoreFailed(reason=f"{path}: {error.strerror}") from error

    def facts(self) -> dict[str, int | str]:
        return {
            "engine": "memory",
            "schema": 0,
            "epoch": self._state.epoch,
            "synchronous": "unsafe: memory",
            "bytes": self._state.used,
            "room": self.room(),
        }

    def close(self) -> None:
        self.rollback()
        self._open = False
