"""An agent of a simulation: its program, its client, and what it keeps on its own disk.

The program dies and comes back; what it had to send stays, each with its idempotency
key, and is sent again in the same order when nobody had said that it was accepted. That
is all that a program needs to do so that each of its messages is stored once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from ipcbus.client.ids import Ids
from ipcbus.client.intake import Fetch
from ipcbus.client.message import BaseMessage
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Pending
from ipcbus.errors import StaleLease
from ipcbus.protocol.address import BROKER_NAME
from ipcbus.protocol.messages import BOUNCE
from ipcbus.testing.broker import MemoryBroker
from ipcbus.testing.clock import START_MS
from ipcbus.testing.history import FAILED, OK, STALE, History
from ipcbus.testing.link import MemoryLink

LEASES_MS: Final = (5_000, 60_000)
"""How long it may hold what it got; some forget about it."""


def in_full(name: str, network: str) -> str:
    """A name or an id that was said in a network."""
    return name if "@" in name else f"{name}@{network}"


def is_notice(sender: str) -> bool:
    """Whether it is of a broker."""
    return sender.partition("@")[0] == BROKER_NAME


class Mail(NamedTuple):
    """What is to be sent. `id` is an idempotency key; None leaves it to the client."""

    to: str
    body: str
    id: str | None
    ttl: float | None


class Member:
    """Attributes:
    client: of its present life.
    history: it is told all that this program asks for and is told.
    returned: ids in full of what came back to it.
    problems: what its client should never have said.
    """

    def __init__(self, broker: MemoryBroker, name: str, history: History) -> None:
        self.name = name
        self.broker = broker
        self.history = history
        self.returned: set[str] = set()
        self.problems: list[str] = []
        self._lives = 0
        self.full_name = in_full(name, broker.network)
        self._unanswered: dict[str, Mail] = {}
        self.client = self._begin()

    def _begin(self) -> MemoryLink:
        self._lives += 1
        self.sendings: list[Sending] = []
        self.settling: list[Pending[None]] = []
        self.held: list[BaseMessage] = []
        self._fetches: list[Fetch] = []
        life = f"{self.full_name} {self._lives}".encode()
        ids = Ids(START_MS, blake2b(life, digest_size=5).digest())
        return MemoryLink(self.broker, self.name, prefetch=16, ids=ids)

    def die(self) -> None:
        """Its process is gone, and the next one takes up its work."""
        self.client.close()
        self.client = self._begin()
        for mail in list(self._unanswered.values()):
            self._submit(mail)

    # --- it sends ------------------------------------------------------------

    def send(self, mail: Mail) -> str:
        """The id of what is now on its way."""
        sending = self._submit(mail)
        id_ = in_full(sending.id, self.broker.network)
        if mail.id is not None:
            self._unanswered[mail.id] = mail
        self.history.sends(self.full_name, in_full(mail.to, self.broker.network), id_)
        return id_

    def _submit(self, mail: Mail) -> Sending:
        to, body, id_, ttl = mail
        sending = self.client.submit(to, body, id=id_, ttl=ttl)
        self.sendings.append(sending)
        sending.add_done_callback(self._answered)
        return sending

    def _answered(self, sending: Sending) -> None:
        id_ = in_full(sending.id, self.broker.network)
        self._unanswered.pop(sending.id, None)
        if id_ not in self.history.sent:
            self.problems.append(f"{id_} was answered, and nobody has sent it")
            return
        self.history.ends(id_, OK if sending.error() is None else FAILED)

    def give_up(self, rng: random.Random) -> str:
        """It waits no longer for one of its sends; the client goes on with it."""
        waiting = [sending for sending in self.sendings if not sending.done()]
        if not waiting:
            return ""
        id_ = in_full(rng.choice(waiting).id, self.broker.network)
        self.history.gives_up(id_)
        return id_

    # --- it reads ------------------------------------------------------------

    def read(self, rng: random.Random) -> None:
        self.client.read(rng.choice(LEASES_MS))

    def fetch(self, rng: random.Random) -> None:
        wait_s = rng.choice((0.0, 3.0))
        lease_ms = rng.choice(LEASES_MS)
        self._fetches.append(self.client.fetch(rng.choice((1, 3)), wait_s, lease_ms))

    def take(self, most: int = 10_000) -> list[str]:
        """What has come; the ids."""
        messages = self.client.take(most)
        for fetch in [fetch for fetch in self._fetches if fetch.done()]:
            self._fetches.remove(fetch)
            messages += fetch.result(0)[0]
        for message in messages:
            self._got(message)
        return [message.id for message in messages]

    def _got(self, message: BaseMessage) -> None:
        self.held.append(message)
        here = self.broker.network
        if message.kind == BOUNCE:
            self.returned.add(in_full(str(message.reply_to), here))
        if not is_notice(message.sender):
            sender, id_ = in_full(message.sender, here), in_full(message.id, here)
            receipt = message.seq, message.attempt
            self.history.gets(self.full_name, sender, id_, *receipt)

    def settle(self, rng: random.Random) -> str:
        """Decide about some of what it holds."""
        if not self.held:
            return ""
        count = rng.randint(1, len(self.held))
        how = rng.choices(("ack", "nack", "release", "extend"), (20, 2, 2, 1))[0]
        for message in self.held[:count]:
            if how == "ack":
                self.ack(message)
            elif how == "nack":
                self._follow(message.nack(rng.choice((0, 0.7))))
            else:
                self._follow(
                    message.extend(9) if how == "extend" else message.release()
                )
        if how != "extend":
            del self.held[:count]
        return f"{how} {count}"

    def ack_all(self) -> None:
        for message in self.held:
            self.ack(message)
        self.held.clear()

    def ack(self, message: BaseMessage) -> None:
        id_ = in_full(message.id, self.broker.network)
        pending = message.ack()
        told = _nobody if is_notice(message.sender) else self.history.acks
        pending.add_done_callback(partial(self._acked, id_, told))
        self._follow(pending)

    def _acked(
        self, id_: str, told: Callable[[str, str, str], None], ack: Pending[Any]
    ) -> None:
        error = ack.error()
        if error is not None and not isinstance(error, StaleLease):
            self.problems.append(f"an ack of {id_} was refused: {error}")
        told(self.full_name, id_, OK if error is None else STALE)

    def _follow(self, pending: Pending[None]) -> None:
        self.settling.append(pending)

    # --- at the end ----------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Whether it has its answers, and holds nothing."""
        pendings: list[Pending[Any]] = [*self.sendings, *self.settling]
        return not self.held and all(one.done() for one in pendings)

    def unfinished(self) -> list[str]:
        """What it still waits for, in words."""
        told = [
            f"{self.name} was never told of {one.id}"
            for one in self.sendings
            if not one.done()
        ]
        if any(not one.done() for one in self.settling):
            told.append(f"{self.name} was never told what became of a settlement")
        return told


def _nobody(receiver: str, id_: str, outcome: str) -> None:
    """The mail of brokers is none that anybody has sent."""
