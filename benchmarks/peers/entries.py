"""Who takes part in what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from benchmarks.peers import floors
from benchmarks.peers.bareloop import BareLoop, BareLoopCurve, RelayInBatches
from benchmarks.peers.base import Contender, Job
from benchmarks.peers.mosquitto_peer import Mosquitto
from benchmarks.peers.nats_peer import CoreNats, JetStream, JetStreamSync
from benchmarks.peers.ours import Ours, OursPlain, OursVolatile, OursVolatilePlain
from benchmarks.peers.rabbit_peer import Rabbit, RabbitQuorum
from benchmarks.peers.redis_peer import Redis, RedisAlways

PAIRS: Final = 100


class Running(Protocol):
    def round(self, seconds: float) -> dict[str, float]: ...

    def close(self) -> None: ...


class Entry(NamedTuple):
    """One contender at one work.

    Attributes:
        group: those of one group take turns and can be compared.
    """

    group: str
    name: str
    make: type[Contender] | floors.Floor
    job: Job

    def missing(self) -> str:
        """Why it cannot take part; "" if it can."""
        missing: Callable[[], str] | None = getattr(self.make, "missing", None)
        return missing() if missing else ""

    def begin(self, folder: Path | None) -> Running:
        return self.make(self.job, folder)


DURABLE: Final = "one pair, durable"
ONE: Final = "one at a time"
CROWD: Final = f"{PAIRS} pairs, durable"
FEW: Final = f"{PAIRS} pairs, 10 under way each"
VOLATILE: Final = "one pair, volatile"

TITLES: Final = {
    DURABLE: "1 sender, 1 receiver, stored, at most 1024 under way",
    ONE: "1 sender, 1 receiver, stored, one message at a time",
    CROWD: f"{PAIRS} senders, {PAIRS} receivers, stored, at most 1024 under way each",
    FEW: f"{PAIRS} senders, {PAIRS} receivers, stored, at most 10 under way each",
    VOLATILE: "1 sender, 1 receiver, in memory, at most 1024 under way",
}

Kind = type[Contender] | floors.Floor
Row = tuple[str, Kind, str]

# Those that are compared with each other stand close together: they take turns in this
# order, and a round of all is long enough for the machine to change its mind.

_DURABLE: Final[list[Row]] = [
    ("Redis stream, everysec", Redis, "pipe"),
    ("RabbitMQ classic queue", Rabbit, "pipe"),
    ("RabbitMQ quorum queue", RabbitQuorum, "pipe"),
    ("Mosquitto QoS 1", Mosquitto, "pipe"),
    ("NATS JetStream, sync always", JetStreamSync, "pipe"),
    ("ipcbus submit, CURVE", Ours, "pipe"),
    ("ipcbus submit", OursPlain, "pipe"),
    ("NATS JetStream", JetStream, "pipe"),
    ("ipcbus send_many, CURVE", Ours, "many"),
    ("ipcbus send_many", OursPlain, "many"),
    ("Redis stream, always", RedisAlways, "pipe"),
    ("ipcbus AsyncClient", OursPlain, "async"),
    ("ipcbus AsyncClient, CURVE", Ours, "async"),
    ("Redis stream, always, 4 pipelines", RedisAlways, "many"),
    ("bare loop", BareLoop, "many"),
    ("bare loop, CURVE", BareLoopCurve, "many"),
]

_ONE: Final[list[Row]] = [
    ("Redis stream, everysec", Redis, "pipe"),
    ("Redis stream, always", RedisAlways, "pipe"),
    ("RabbitMQ classic queue", Rabbit, "pipe"),
    ("Mosquitto QoS 1", Mosquitto, "pipe"),
    ("NATS JetStream, sync always", JetStreamSync, "pipe"),
    ("NATS JetStream", JetStream, "pipe"),
    ("ipcbus send", OursPlain, "pipe"),
    ("raw relay", floors.relay, "pipe"),
    ("raw commits", floors.Commits, "pipe"),
    ("ipcbus send, CURVE", Ours, "pipe"),
    ("bare loop", BareLoop, "many"),
]

_CROWD: Final[list[Row]] = [
    ("ipcbus send_many, CURVE", Ours, "many"),
    ("Redis stream, always", RedisAlways, "many"),
    ("ipcbus send_many", OursPlain, "many"),
    ("bare loop", BareLoop, "many"),
]

_VOLATILE: Final[list[Row]] = [
    ("ipcbus in memory, send_many", OursVolatilePlain, "many"),
    ("ipcbus in memory, send_many, CURVE", OursVolatile, "many"),
    ("NATS core", CoreNats, "pipe"),
    ("raw relay", floors.relay, "pipe"),
    ("raw relay, batches", RelayInBatches, "many"),
]


def all_entries() -> Iterator[Entry]:
    yield from _of(DURABLE, _DURABLE, Job())
    yield from _of(ONE, _ONE, Job(window=1))
    yield from _of(CROWD, _CROWD, Job(pairs=PAIRS))
    yield from _of(FEW, _CROWD, Job(pairs=PAIRS, window=10))
    yield from _of(VOLATILE, _VOLATILE, Job())


def _of(group: str, rows: list[Row], job: Job) -> Iterator[Entry]:
    for name, make, how in rows:
        yield Entry(group, name, make, job._replace(how=how))
