"""Bugs of disks that fail, of their brokers, and of clients that come back."""

from __future__ import annotations

from itertools import count
from typing import Any

from ipcbus.broker.delivery import Delivery
from ipcbus.broker.sending import Sending
from ipcbus.client.intake import Intake
from ipcbus.client.outbox import Outbox
from ipcbus.client.settling import Settling
from ipcbus.errors import IdClash, StoreFailed, StoreFull
from ipcbus.protocol.messages import Accepted, RefusedCall, Settled
from ipcbus.store.memory import MemoryStore
from ipcbus.testing.broker import MemoryBroker
from ipcbus.testing.disk import FakeDisk
from tests.sim.planting import Bugs, nothing

BUGS = Bugs()

# --- the disk, and what a broker makes of its word ----------------------------------


def _later(real: Any, disk: FakeDisk) -> None:
    """The last two are on their way still."""
    del disk._unsynced[:-2]


BUGS.plant(
    "not-synced",
    "a commit returns when a power cut can take nothing back",
    (FakeDisk, "sync", _later),
)


def _goes_on(real: Any, disk: FakeDisk) -> None:
    try:
        real(disk)
    except StoreFailed:
        disk.failed = False


BUGS.plant(
    "answer-after-io-error",
    "after an I/O error nobody gets an answer",
    (FakeDisk, "commit", _goes_on),
)


def _tries_again(real: Any, disk: FakeDisk) -> None:
    """As fsync does: what failed is thrown away, and the next one says all is well."""
    try:
        real(disk)
    except StoreFailed:
        disk.failed = False
        real(disk)


BUGS.plant(
    "commit-tried-again",
    "a commit that failed is not tried again",
    (FakeDisk, "commit", _tries_again),
)


def _refused_when_full(
    real: Any, delivery: Delivery, turn: Any, session: Any, said: Any
) -> None:
    mail: Any = delivery._mail
    if mail._state.room():
        real(delivery, turn, session, said)
    else:
        refusal = StoreFull(network="this network").to_wire()
        turn.say(session.peer, RefusedCall(said.ref, *refusal))


BUGS.plant(
    "acks-refused-when-full",
    "when the disk is full acks go on",
    (Delivery, "settle", _refused_when_full),
)


def _remembers(real: Any, broker: MemoryBroker, error: StoreFull) -> None:
    core = broker.core
    real(broker, error)
    if broker.alive:
        broker.core = core


BUGS.plant(
    "void-turn-remembered",
    "a turn that found no room is void, in memory too",
    (MemoryBroker, "_start_over", _remembers),
)

BUGS.plant(
    "fence-skipped",
    "a broker that was taken over can write nothing",
    (MemoryStore, "_check_fence", nothing),
)

# --- what a client does when it comes back --------------------------------------------

_fresh = count().__next__


def _other_ids(real: Any, outbox: Outbox) -> None:
    for batch in outbox.flying.values():
        for sending in batch:
            sending.id = f"again{_fresh()}"
    real(outbox)


BUGS.plant(
    "resend-with-another-id",
    "what is sent again is the same message",
    (Outbox, "lost", _other_ids),
)


def _forget_flying(real: Any, outbox: Outbox) -> None:
    outbox.flying.clear()
    real(outbox)


BUGS.plant(
    "not-resent-after-takeover",
    "what was not answered is sent again, without being asked",
    (Outbox, "lost", _forget_flying),
)


def _newest_first(real: Any, outbox: Outbox) -> None:
    for batch in outbox.flying.values():
        batch.reverse()
    real(outbox)


BUGS.plant(
    "resent-in-another-order",
    "what is sent again keeps its order",
    (Outbox, "lost", _newest_first),
)


def _forget_settled(real: Any, settling: Settling) -> None:
    settling.flying.clear()


BUGS.plant(
    "ack-not-said-again",
    "an ack that was not answered is said again",
    (Settling, "lost", _forget_settled),
)


def _credit_kept(real: Any, intake: Intake) -> None:
    kept = intake._granted, intake._purpose
    real(intake)
    intake._granted, intake._purpose = kept


BUGS.plant(
    "credit-not-said-again",
    "who reads goes on reading on the next connection",
    (Intake, "lost", _credit_kept),
)

# --- what it is told, and what it tells -----------------------------------------------


def _clash(real: Any, sending: Any, agent: Any, draft: Any, body: bytes) -> Any:
    known = real(sending, agent, draft, body)
    return None if known is None else IdClash(id=draft.id).to_wire()


BUGS.plant(
    "accepted-said-twice-as-failed",
    "what comes again is accepted again",
    (Sending, "_known", _clash),
)


def _all_well(real: Any, outbox: Outbox, answer: Accepted) -> None:
    real(outbox, answer._replace(exceptions=[]))


BUGS.plant(
    "refusal-told-as-accepted",
    "what is refused is told to its sender",
    (Outbox, "accepted", _all_well),
)


def _never_stale(real: Any, settling: Settling, answer: Settled, now: float) -> None:
    real(settling, answer._replace(stale=[]), now)


BUGS.plant(
    "stale-ack-told-as-done",
    "who lost a lease is told so by its ack",
    (Settling, "settled", _never_stale),
)
