"""What an application gets and gives: messages, receipts, attachments."""

from __future__ import annotations

import time
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol

from ipcbus.client.pending import Pending
from ipcbus.client.sayable import delay_ms, lease_ms, number, text
from ipcbus.protocol.limits import DEFAULT_PRIORITY
from ipcbus.protocol.messages import INFORM, REPLY, Header, Meta
from ipcbus.protocol.pieces import unpack_meta


class Attachment(NamedTuple):
    """A file that a message refers to; fetched with `Client.download`."""

    sha256: str
    size: int
    name: str
    content_type: str | None = None


class Receipt(NamedTuple):
    """The broker has stored a message.

    Attributes:
        state: `accepted`, `future` (waits for the name to be registered) or
            `forwarded` (the recipient has a new name).
        to: where it went; the new name if it was forwarded.
        recipients: mailboxes it was put in.
        again: it was stored before under this id; this is the answer once more.
    """

    id: str
    state: str
    to: str
    recipients: int = 1
    again: bool = False


class Outgoing(NamedTuple):
    """A message to send, as the caller gives it. `ttl` is in seconds.

    `id` is an idempotency key: the same id again is the same message. None lets the
    client make one. `receipt` asks the broker to tell how far it came, by a message of
    kind `ack`: `relayed` when the next network has stored it, `acked` when its receiver
    has acked it.
    """

    to: str
    body: str | bytes = ""
    data: Any = None
    kind: str = INFORM
    thread: str | None = None
    reply_to: str | None = None
    ttl: float | None = None
    priority: int = DEFAULT_PRIORITY
    id: str | None = None
    future: bool = False
    attach: tuple[Attachment, ...] = ()
    content_type: str | None = None
    labels: tuple[str, ...] = ()
    headers: dict[str, str] | None = None
    receipt: str | None = None


Pair = tuple[str, str | bytes]
"""An address and a body: all that most messages have."""


class Action(IntEnum):
    """What can become of a delivery."""

    ACK = 0
    NACK = 1
    EXTEND = 2
    RELEASE = 3


ACK: Final = Action.ACK
NACK: Final = Action.NACK
EXTEND: Final = Action.EXTEND
RELEASE: Final = Action.RELEASE
"""For the paths of each message: to get a member of an enum takes as long as to make a
small object."""


class Settlement(Pending[None]):
    """What shall become of a delivery. Done when the broker has committed it;
    `StaleLease` if somebody else has the message by now."""

    __slots__ = ("action", "message", "ms", "reason")

    what = "the broker's word on a delivery"

    def __init__(
        self, action: Action, message: BaseMessage, ms: int = 0, reason: str = ""
    ) -> None:
        self._done = False
        self._callbacks = None
        self._error = None
        self.action = action
        self.message = message
        self.ms = ms
        self.reason = reason

    def value(self) -> None:
        return

    def facts(self) -> dict[str, Any]:
        message = getattr(self, "message", None)
        return {"id": message.id} if message is not None else {}

    def finish(self) -> None:
        # The message knows this settlement: without the way back both are freed at
        # once, and do not wait for the collector of cycles.
        del self.message
        self._done = True
        if self._callbacks is not None:
            self._call_back()


class Owner(Protocol):
    """What a message needs of the client it came through."""

    network: str
    clock_ms: float
    """Broker's clock minus ours."""

    def settle(self, settlement: Settlement) -> Settlement: ...

    def send(self, outgoing: Outgoing, timeout: float | None) -> Receipt: ...

    async def send_async(
        self, outgoing: Outgoing, timeout: float | None
    ) -> Receipt: ...


class BaseMessage:
    """A delivery: a message that this session has leased until it settles it.

    Fields cost nothing until they are read; times are UTC milliseconds.
    """

    __slots__ = (
        "_body",
        "_meta",
        "_owner",
        "_settlement",
        "attempt",
        "header",
        "lease_ms",
        "seq",
        "until",
    )

    def __init__(
        self,
        owner: Owner,
        seq: int,
        attempt: int,
        header: Header,
        body: bytes,
        lease_ms: int,
        until: float,
    ) -> None:
        self._owner = owner
        self.seq = seq
        self.attempt = attempt
        self.header = header
        self._body = body
        self.lease_ms = lease_ms
        self.until = until
        self._meta: Meta | None = None
        self._settlement: Settlement | None = None

    # --- what it says ------------------------------------------------------

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def sender(self) -> str:
        """Its name; in full (`alice@dev`) if it is of another network."""
        return self.header.sender

    @property
    def to(self) -> str:
        return self.header.to

    @property
    def network(self) -> str:
        """The network in which it was received."""
        return self._owner.network

    @property
    def kind(self) -> str:
        return self.header.kind

    @property
    def priority(self) -> int:
        return self.header.priority

    @property
    def thread(self) -> str | None:
        return self.header.thread

    @property
    def reply_to(self) -> str | None:
        return self.header.reply_to

    @property
    def accepted_at(self) -> int:
        return self.header.accepted_at

    @property
    def expires_at(self) -> int | None:
        return self.header.expires_at

    @property
    def age_s(self) -> float:
        """Seconds since the broker accepted it, by the broker's clock."""
        now = our_clock_ms() + self._owner.clock_ms
        return max(0.0, (now - self.header.accepted_at) / 1000)

    @property
    def trust(self) -> str:
        """`local`, `foreign` (it came over a bridge) or `broker`."""
        return self.header.trust

    @property
    def hops(self) -> tuple[str, ...]:
        """The networks that it came through, its origin first."""
        return hop_names(self.header)

    @property
    def raw_body(self) -> bytes:
        return self._body

    @property
    def body(self) -> str | bytes:
        """Text, unless its sender gave bytes or they are no UTF-8."""
        kind = self.content_type
        if kind is not None and not is_text(kind):
            return self._body
        try:
            return self._body.decode()
        except UnicodeDecodeError:
            return self._body

    @property
    def content_type(self) -> str | None:
        return self._read_meta().content_type if self.header.meta else None

    @property
    def data(self) -> Any:
        return self._read_meta().data if self.header.meta else None

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._read_meta().labels or ())

    @property
    def headers(self) -> dict[str, str]:
        return self._read_meta().headers or {}

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return tuple(Attachment(*row) for row in self.header.attachments or ())

    def _read_meta(self) -> Meta:
        if self._meta is None:
            self._meta = unpack_meta(self.header.meta)
        return self._meta

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.id} {self.kind} from {self.sender}, "
            f"{len(self._body)} bytes, attempt {self.attempt}>"
        )

    # --- what becomes of it ------------------------------------------------

    def ack(self) -> Pending[None]:
        """It is done with. Goes out at once, many acks in one frame.

        Need not be waited for: `.result(timeout)` or `await` tells when it is
        committed, and raises `StaleLease` if the lease was lost.
        """
        return self._settle(ACK)

    def nack(self, delay: float = 0, reason: str | None = None) -> Pending[None]:
        """It could not be handled: again after `delay` seconds, and a dead letter
        after too many attempts."""
        return self._settle(NACK, delay_ms(delay), text("reason", reason or ""))

    def release(self) -> Pending[None]:
        """Give it back unseen: it comes again at once and the attempt is not
        counted."""
        return self._settle(RELEASE)

    def extend(self, seconds: float) -> Pending[None]:
        """Hold it for `seconds` from now."""
        # Below a second it is a second: who asks for less wants to keep it.
        ms = lease_ms(max(1, number("lease", seconds)))
        return self._owner.settle(Settlement(EXTEND, self, ms))

    @property
    def settled(self) -> bool:
        """Whether it was acked, nacked or released."""
        return self._settlement is not None

    def _settle(self, action: Action, ms: int = 0, reason: str = "") -> Settlement:
        # The first word stands: a second ack would only be told that it is stale.
        if self._settlement is None:
            self._settlement = self._owner.settle(Settlement(action, self, ms, reason))
        return self._settlement

    def settle_unseen(self, action: Action, reason: str = "") -> Settlement | None:
        """For the client itself, which queues what it is given; None if settled."""
        if self._settlement is not None:
            return None
        self._settlement = Settlement(action, self, 0, reason)
        return self._settlement

    def _answer(self, body: str | bytes, options: dict[str, Any]) -> Outgoing:
        reply = Outgoing(
            self.sender,
            body,
            kind=REPLY,
            thread=self.thread or self.id,
            reply_to=self.id,
        )
        return reply._replace(**options) if options else reply


class Message(BaseMessage):
    """A message as `Client` gives it."""

    __slots__ = ()

    def reply(
        self, body: str | bytes = "", *, timeout: float | None = 30.0, **options: Any
    ) -> Receipt:
        """Answer its sender; `options` as for `Client.send`."""
        return self._owner.send(self._answer(body, options), timeout)


class AsyncMessage(BaseMessage):
    """A message as `AsyncClient` gives it."""

    __slots__ = ()

    async def reply(
        self, body: str | bytes = "", *, timeout: float | None = 30.0, **options: Any
    ) -> Receipt:
        """Answer its sender; `options` as for `AsyncClient.send`."""
        return await self._owner.send_async(self._answer(body, options), timeout)


def our_clock_ms() -> float:
    """UTC in milliseconds as this program knew it when it began, carried on by a clock
    that nobody can set: no message is a day old because the system clock was set."""
    return (_BOOTED_S + time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000


_BOOTED_S: Final = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def hop_names(header: Header) -> tuple[str, ...]:
    """The hops without the ids of the networks, which are for brokers."""
    return tuple(hop.partition("/")[0] for hop in header.hops or ())


def is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in ("application/json", "application/yaml")
