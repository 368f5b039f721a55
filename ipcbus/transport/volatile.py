"""A volatile network: messages in the memory of its broker, names and keys on disk.

`accepted` means in memory here. Nothing of a message is written to disk, so nothing is
synced for it, and all of it is lost when the broker ends, however it ends.

What is *about* the network stays in its database, as in a durable one: agents, keys,
names, topics, links, pins, the network's id and the epoch. So an agent that comes back
is known, a key that was revoked stays so, clients notice a new broker by its epoch, and
a network can be made volatile or durable without anybody registering again. These are
written rarely.

Numbers of messages must never be used again, not even by a broker that cannot know how
far the last one came: a client may still hold one and ack another message with it. So
each epoch has `SEQ_GAP` numbers of its own.

The fence is weaker than that of a durable network: a broker that was taken over would
still write to its own memory. That there is one broker rests on the lock alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipcbus.errors import UsageError
from ipcbus.networks import MEMORY, Network
from ipcbus.protocol.limits import MIB
from ipcbus.store.base import Archive, Blobs, Crossings, Mail, Registry
from ipcbus.store.records import Snapshot

if TYPE_CHECKING:
    # Not loaded by a door, which needs only what is below.
    from ipcbus.store.memory import MemoryStore
    from ipcbus.store.sqlite import SqliteStore

SEQ_GAP: Final = 1 << 32
"""Messages that one epoch may number: more than a broker takes in an hour at a million
a second, and 2^31 epochs fit into 63 bits."""

RESERVE: Final = 4 * MIB
RESERVE_SHARE: Final = 32
"""Bytes, at most, and one part in so many of the memory, that messages of agents never
take: a full broker has yet to say so (bounces, notices). Without them such a turn would
be void, and the broker start over; doing so twice ends it, and takes all mail along."""

SHARE: Final = 4
"""One part in so many of the machine's memory is for messages, if the settings do not
say how much: what it takes is counted about, and other programs want some too."""


class VolatileStore:
    """`base.Store` that keeps what is about the network in `names`, the rest in memory.

    Args:
        memory: outlives this object: a broker that starts over goes on with it.
    """

    def __init__(self, names: SqliteStore, memory: MemoryStore, network: str) -> None:
        self._names = names
        self._memory = memory
        self._network = network
        self._epoch = 0
        capacity = int(memory.facts()["bytes"]) + memory.room()
        self._reserve = min(RESERVE, capacity // RESERVE_SHARE)

    def open(self) -> Snapshot:
        """Raises what `SqliteStore.open` does, and `UsageError` if there is mail on
        disk, which would not be seen."""
        known = self._names.open()
        try:
            self._check_no_mail(known)
            held = self._memory.open()
        except BaseException:
            self._names.close()
            raise
        self._epoch = known.epoch
        self._parts()
        return known._replace(
            last_seq=max(known.last_seq + known.epoch * SEQ_GAP, held.last_seq),
            last_wall=max(known.last_wall, held.last_wall),
            counters=held.counters,
            mailboxes=held.mailboxes,
        )

    def _check_no_mail(self, known: Snapshot) -> None:
        waiting = sum(box.messages for box in known.mailboxes)
        dead = len(self._names.mail.dead(None, 0, 1))
        if waiting or dead:
            raise hidden(self._network, waiting, dead)

    def _parts(self) -> None:
        self._registry = _Registry(self._names.registry, self._memory.registry)
        self._crossings = _Crossings(self._names.crossings, self._memory.crossings)
        self._archive = _Archive(self._names.archive, self._memory.archive)

    @property
    def mail(self) -> Mail:
        return self._memory.mail

    @property
    def registry(self) -> Registry:
        return self._registry

    @property
    def crossings(self) -> Crossings:
        return self._crossings

    @property
    def blobs(self) -> Blobs:
        return self._memory.blobs

    @property
    def archive(self) -> Archive:
        return self._archive

    def begin(self) -> None:
        self._names.begin()
        self._memory.begin()

    def commit(self) -> None:
        """Names first: that can fail, and then memory can still be rolled back."""
        self._names.commit()
        self._memory.commit()

    def rollback(self) -> None:
        self._names.rollback()
        self._memory.rollback()

    def room(self, *, ours: bool = False) -> int:
        return max(0, self._memory.room() - (0 if ours else self._reserve))

    def backup(self, path: Path) -> Iterator[int]:
        """There is nothing that could be restored. Said at the first step, as any store
        says that it cannot: `UsageError`."""
        return map(self._refuse, [path])

    def _refuse(self, path: Path) -> int:
        raise UsageError(reason=no_backup(self._network))

    def facts(self) -> dict[str, int | str]:
        """Those of the memory, that it is one, and whether there are settled messages
        on disk that nobody sees, of when the network was durable."""
        past = self._names.archive.history(
            None, limit=1, before=None, other=None, thread=None
        )
        ours = {"epoch": self._epoch, "room": self.room()}
        return {**self._memory.facts(), **ours, "volatile": 1, "unseen": len(past)}

    def close(self) -> None:
        self._names.close()
        self._memory.close()


class _Registry:
    """Names on disk. Counters are of the messages, and go with them."""

    def __init__(self, names: Registry, memory: Registry) -> None:
        self.put_agent = names.put_agent
        self.delete_agent = names.delete_agent
        self.put_key = names.put_key
        self.delete_key = names.delete_key
        self.put_alias = names.put_alias
        self.delete_alias = names.delete_alias
        self.put_subscription = names.put_subscription
        self.delete_subscription = names.delete_subscription
        self.put_pause = names.put_pause
        self.put_counters = memory.put_counters


class _Crossings:
    """Links on disk. What is about one message goes with it."""

    def __init__(self, names: Crossings, memory: Crossings) -> None:
        self.put_link = names.put_link
        self.put_pin = names.put_pin
        self.wake = memory.wake
        self.delayed = memory.delayed
        self.late = memory.late
        self.put_grants = memory.put_grants
        self.grant = memory.grant
        self.record = memory.record
        self.audit = memory.audit
        self.traced = memory.traced


class _Archive:
    """The past of this broker. What is on disk of the time when the network was durable
    is purged when its time has come, and not shown."""

    def __init__(self, names: Archive, memory: Archive) -> None:
        self._names, self._memory = names, memory
        self.history = memory.history
        self.search = memory.search
        self.was_sent = memory.was_sent
        self.state = memory.state

    def maintain(self, now: int, history_ms: int, limit: int) -> bool:
        more = self._memory.maintain(now, history_ms, limit)
        return self._names.maintain(now, history_ms, limit) or more


def memory_for(network: str, store_bytes: int) -> MemoryStore:
    """An empty one with the room that the settings say, or the machine's share."""
    from ipcbus.store.memory import MemoryStore

    return MemoryStore(network=network, store_bytes=store_bytes or _machine() // SHARE)


def _machine() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# --- from durable to volatile and back ---------------------------------------------


def check_change(network: Network, store: str) -> int:
    """Before `network` is saved with another store. How many settled messages stay on
    disk unseen, until it is durable again or their time is over.

    Nobody may serve it: raises `AlreadyServing`. Raises `UsageError` for mail on disk,
    which would wait without anybody knowing of it.
    """
    if network.saved().store == store:
        return 0
    fd = network.lock()
    try:
        if store != MEMORY or not network.database.exists():
            return 0
        # Here and not above: nobody needs it but who changes this.
        from ipcbus.store.sqlite.offline import inspect

        facts = inspect(network.database)
    finally:
        os.close(fd)
    waiting, dead = int(facts["waiting"]), int(facts["dead"])
    if waiting or dead:
        raise hidden(network.name, waiting, dead)
    return int(facts["messages"])


def hidden(network: str, waiting: int, dead: int) -> UsageError:
    """Why a network cannot be volatile, and what to do."""
    found = [f"{waiting} waiting"] if waiting else []
    found += ["dead letters"] if dead else []
    return UsageError(
        reason=f"{network} has mail on disk ({', '.join(found)}) that a volatile "
        f"broker would not show; it must be durable (ipcbus up --network {network} "
        "--store durable) until that is read, or dropped (ipcbus dead drop --all); "
        "or use another network"
    )


def no_backup(network: str) -> str:
    """Why a volatile network is not backed up."""
    return f"{network} is volatile: its messages are in memory, there is no backup"
