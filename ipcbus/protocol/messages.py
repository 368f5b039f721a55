"""What is said on the wire, as values. PROTOCOL.md is the authoritative text.

Each class is one line of the grammar: its fields, in wire order, after the verb.
Tuples rather than dataclasses: tens of thousands of these are made each second,
and importing `dataclasses` is a tenth of what a one-shot command may cost.

Batches are columns: a SEND carries the headers of many messages as an array of
arrays and their bodies as one frame with a list of sizes. Nothing on either side
looks into a body.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple


class Verb(IntEnum):
    """First element of every head frame. From 64 up, the broker speaks."""

    HELLO = 1
    BYE = 2
    PING = 3
    SEND = 4
    CREDIT = 5
    SETTLE = 6
    CALL = 7
    XFER = 8
    RETURN = 9
    WELCOME = 65
    CLOSED = 66
    PONG = 67
    ACCEPTED = 68
    DELIVER = 69
    SETTLED = 70
    ANSWER = 71
    REFUSED = 72


INFORM: Final = "inform"
REQUEST: Final = "request"
REPLY: Final = "reply"
ACK: Final = "ack"
CONTROL: Final = "control"
BOUNCE: Final = "bounce"

SENDABLE_KINDS: Final = frozenset({INFORM, REQUEST, REPLY, ACK, CONTROL})
"""Kinds a client may send; BOUNCE comes from brokers alone."""

ACCEPTED: Final = "accepted"
FUTURE: Final = "future"
FORWARDED: Final = "forwarded"
STATES: Final = frozenset({ACCEPTED, FUTURE, FORWARDED})
"""Good outcomes of a send. All of them mean: committed."""

TRUST_LOCAL: Final = "local"
TRUST_FOREIGN: Final = "foreign"
TRUST_BROKER: Final = "broker"

FLAG_FUTURE: Final = 1
"""Wait for a recipient that is not registered yet."""
FLAG_RELAYED: Final = 2
"""Tell the sender when the next network has stored the message."""
FLAG_ACKED: Final = 4
"""Tell the sender when its receiver has acked the message."""
FLAG_GRANTED: Final = 8
"""Of a header: its broker vouches that it answers what came over the link, or that a
broker wrote it. Bridges carry it without a rule."""
FLAG_TRANSIT: Final = 16
"""Of a move: a rule lets it go on to a farther network."""

SENDABLE_FLAGS: Final = FLAG_FUTURE | FLAG_RELAYED | FLAG_ACKED
RECEIPTS: Final = FLAG_RELAYED | FLAG_ACKED

DUPLICATE: Final = "duplicate"
DEFERRED: Final = "deferred"
REFUSED: Final = "refused"
FILTERED: Final = "filtered"
RELEASED: Final = "released"
OUTCOMES: Final = frozenset(
    {ACCEPTED, DUPLICATE, DEFERRED, REFUSED, FILTERED, RELEASED}
)
"""What can become of a message that a bridge took: stored by the other network, or
there already; later; never; not what the rules carry of a topic; given back."""


class Draft(NamedTuple):
    """The header of a message as its sender writes it.

    Attributes:
        id: unique in the network; the same id again is the same message.
        to: an address, as text.
        kind: one of `SENDABLE_KINDS`.
        priority: 0 (last) to 9 (first).
        ttl_ms: milliseconds from acceptance to expiry, or None.
        thread: id of the conversation, or None.
        reply_to: id of the message this one answers, or None.
        flags: sum of FLAG_ values.
        attachments: arrays of `[sha256 hex, size, name, content type or None]`.
        meta: packed `Meta`, or None when all of it is empty.
    """

    id: str
    to: str
    kind: str
    priority: int
    ttl_ms: int | None
    thread: str | None
    reply_to: str | None
    flags: int
    attachments: list[list[Any]] | None
    meta: bytes | None


class Header(NamedTuple):
    """The header of a message as the broker writes it; times in UTC milliseconds.

    `hops` are the networks that it came through, as `name/id`, its origin first.
    `digest` is what its origin made of the content of a message that crosses networks;
    `flags` are a sum of FLAG_ values. These two are left out where both are empty.
    """

    id: str
    sender: str
    to: str
    kind: str
    priority: int
    accepted_at: int
    expires_at: int | None
    thread: str | None
    reply_to: str | None
    trust: str
    hops: list[str] | None
    attachments: list[list[Any]] | None
    meta: bytes | None
    digest: bytes | None = None
    flags: int = 0


class Move(NamedTuple):
    """A message that a bridge hands over; names and ids as its source says them.

    Attributes:
        ttl_ms: what is left of its time, or None.
        hops: as its source has them.
        flags: sum of FLAG_ values.
        rule: the id of the rule that let it through, for the audit trail.
        replies: answers that its receiver may send back without a rule.
        replies_ms: for how long.
        max_hops: networks that it may have come through, its source counted.
    """

    id: str
    sender: str
    to: str
    kind: str
    priority: int
    ttl_ms: int | None
    thread: str | None
    reply_to: str | None
    hops: list[str] | None
    attachments: list[list[Any]] | None
    meta: bytes | None
    digest: bytes
    flags: int
    rule: str
    replies: int
    replies_ms: int
    max_hops: int


class Meta(NamedTuple):
    """What the broker does not act on: packed by the sender, read by the receiver."""

    content_type: str | None = None
    labels: list[str] | None = None
    data: Any = None
    headers: dict[str, str] | None = None


# --- the client speaks -------------------------------------------------------


class Hello(NamedTuple):
    """First message of a connection. `last_epoch` is 0 on a client's first one."""

    major: int
    minor: int
    last_epoch: int
    program: str


class Bye(NamedTuple):
    """Last message. Leases stay if `keep_leases`, else what is unacked is released."""

    keep_leases: bool


class Ping(NamedTuple):
    number: int


class Send(NamedTuple):
    """Messages to store. `bodies[i]` belongs to `drafts[i]`, which is the id alone for
    one that is otherwise like the one before it."""

    ref: int
    drafts: Sequence[Draft | str]
    bodies: list[bytes]


class Credit(NamedTuple):
    """How many deliveries this session may hold unacked, and for how long each."""

    ref: int
    messages: int
    bytes: int
    lease_ms: int


class Settle(NamedTuple):
    """What became of deliveries.

    Attributes:
        acks, releases: runs `first seq, count, attempt`, flattened.
        nacks: arrays of `[seq, attempt, delay_ms, reason]`.
        extends: arrays of `[seq, attempt, lease_ms]`.
    """

    ref: int
    acks: list[int]
    nacks: list[list[Any]]
    extends: list[list[int]]
    releases: list[int]


class Call(NamedTuple):
    """A question or an order outside the flow of messages; see `protocol.calls`."""

    ref: int
    name: str
    args: list[Any]
    body: bytes


class Xfer(NamedTuple):
    """Messages of another network, handed over by a bridge; answered by ACCEPTED.

    `epoch` is that of the link, which its source raises whenever another bridge, or
    another connection of one, takes the link over.
    """

    ref: int
    epoch: int
    moves: list[Move]
    bodies: list[bytes]


class Return(NamedTuple):
    """What became of the messages that a bridge took; answered by SETTLED.

    `groups` are arrays of `[outcome, rule, status, reason, delay_ms, runs]`, where runs
    are those of SETTLE.
    """

    ref: int
    groups: list[list[Any]]


# --- the broker speaks -------------------------------------------------------


class Welcome(NamedTuple):
    """Answer to HELLO. A new `epoch` means that a new broker took over.

    `network_id` is the network's for ever, whatever it is called.
    """

    major: int
    minor: int
    network: str
    epoch: int
    session: int
    agent: str | None
    role: str
    now_ms: int
    network_id: str = ""


class Closed(NamedTuple):
    """The session is over, and why: an error code and its facts."""

    code: str
    facts: dict[str, Any]


class Pong(NamedTuple):
    number: int
    epoch: int


class Accepted(NamedTuple):
    """Outcome of a SEND: `accepted` for all but the exceptions.

    An exception is `[index, state or error code, facts]`.
    """

    ref: int
    exceptions: list[list[Any]]


class Deliver(NamedTuple):
    """Leased messages. Element i of each column belongs to one delivery."""

    seqs: list[int]
    attempts: list[int]
    headers: list[Header]
    bodies: list[bytes]


class Settled(NamedTuple):
    """A SETTLE is committed; `stale` are the deliveries that it could not touch."""

    ref: int
    stale: list[int]


class Answer(NamedTuple):
    """The value of a CALL, or of a CREDIT (messages that still wait)."""

    ref: int
    value: Any
    body: bytes


class RefusedCall(NamedTuple):
    """A CALL or CREDIT was refused: an error code and its facts."""

    ref: int
    code: str
    facts: dict[str, Any]


ClientMessage = Hello | Bye | Ping | Send | Credit | Settle | Call | Xfer | Return
BrokerMessage = (
    Welcome | Closed | Pong | Accepted | Deliver | Settled | Answer | RefusedCall
)
