"""What a store is given and gives: plain values, no behaviour.

Times are UTC milliseconds. A mailbox is the number of its agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from ipcbus.protocol.pieces import digest_of


class Key(NamedTuple):
    """Where an entry stands: lower keys are delivered first.

    `rank` is 9 minus the priority, so that urgent mail sorts first.
    """

    mailbox: int
    rank: int
    seq: int


class Run(NamedTuple):
    """Entries of one mailbox and rank: all that are there from `first` to `last`."""

    mailbox: int
    rank: int
    first: int
    last: int


class Row(NamedTuple):
    """A message, stored once for any number of mailboxes.

    Attributes:
        id: unique in the store, for as long as the row stays.
        sender: number of the sending agent, 0 for the broker.
        mailbox: the one mailbox it goes to, or 0 when `entries` has several.
        header: packed `protocol.messages.Header`; empty when the content is gone, and
            then `body` is `fingerprint(header, body)` of what was there.
    """

    seq: int
    id: str
    sender: int
    mailbox: int
    accepted_at: int
    thread: str | None
    reply_to: str | None
    header: bytes
    body: bytes


class Entry(NamedTuple):
    """A message waiting in a mailbox.

    Attributes:
        attempt: leases granted so far.
        due: not to be delivered before; 0 for at once.
        expires: not to be delivered from then on; 0 for never.
        shared: 1 if the message waits in several mailboxes, else 0.
        size: bytes that count against the mailbox.
    """

    mailbox: int
    rank: int
    seq: int
    attempt: int
    due: int
    expires: int
    shared: int
    size: int


class Place(NamedTuple):
    """Entries alike: of the messages from seq `first` to `last`, none of which is
    missing or goes elsewhere. The size of each is that of its header and body."""

    mailbox: int
    rank: int
    first: int
    last: int
    attempt: int
    expires: int


class Waiting(NamedTuple):
    """An entry with its message, as a mailbox gives it out."""

    entry: Entry
    header: bytes
    body: bytes


class Dead(NamedTuple):
    """A dead letter: an entry that was given up, and why. `code` as in bounces."""

    mailbox: int
    rank: int
    seq: int
    attempt: int
    shared: int
    size: int
    code: str
    reason: str
    at: int
    header: bytes
    body: bytes


class Mailbox(NamedTuple):
    """How much waits in a mailbox: the sum over its entries, dead letters apart."""

    mailbox: int
    messages: int
    bytes: int


class Agent(NamedTuple):
    """A named member, or a name that mail waits for (`registered` 0).

    `rate` (messages a second) and `max_body` (bytes) are 0 for: as configured.
    """

    number: int
    name: str
    registered: int
    created_at: int
    renamed_at: int
    rate: int
    max_body: int


class AgentKey(NamedTuple):
    """A public CURVE key (hex) and whose it is.

    `role` is a `protocol.calls.Role` value; `agent` is 0 for an operator. `expires`
    is 0 but for invitations. `revoked` is 0, or when it was revoked: a revoked key
    stays, so that it is refused with a reason and never registered again.
    """

    key: str
    agent: int
    role: str
    created_at: int
    expires: int
    revoked: int


class Alias(NamedTuple):
    """A former name that forwards to an agent until a time."""

    name: str
    agent: int
    until: int


class Subscription(NamedTuple):
    agent: int
    pattern: str


class LinkRow(NamedTuple):
    """A link to another network, as far as it must outlive a broker.

    Attributes:
        agent: number of the agent in whose mailbox mail for the peer waits.
        peer_id: the network id of the peer, or "" while it is not known.
        epoch: raised whenever a bridge takes the lead of the way out.
        seen_epoch: the highest that the way in has named.
        reloads: how often the bridge was told to read its rules again.
        terms: JSON; what the bridge said last of bounds, topics and routes.
        grants: JSON; how the owner has narrowed it.
    """

    agent: int
    peer_id: str
    epoch: int
    seen_epoch: int
    paused: int
    reloads: int
    terms: str
    grants: str


class ReplyGrant(NamedTuple):
    """The right to answer a message of another network.

    Attributes:
        reply_to: id of the message, as it is called here.
        replier: number of the local agent, or a foreign address, folded.
        requester: who may be answered, in full.
        link: number of the agent of the link by which it came.
        left: answers that may still be sent.
        until: in UTC ms.
    """

    reply_to: str
    replier: str
    requester: str
    link: int
    left: int
    until: int


class Audit(NamedTuple):
    """What became of messages at a link: a run of them, by seq, or one that is not in
    the store (then `first` is 0 and `id`, `sender` and `to` are told).

    Attributes:
        way: `in` or `out`.
        rule: of the bridge.
        verdict: an outcome of `protocol.messages`.
    """

    n: int
    at: int
    link: int
    way: str
    first: int
    last: int
    id: str
    sender: str
    to: str
    rule: str
    verdict: str
    status: str
    reason: str


class Found(NamedTuple):
    """A message of the past, for history and search. `state`: see `Archive.state`;
    `size`: of the whole body if this one is cut, else None."""

    seq: int
    state: str
    header: bytes
    body: bytes
    size: int | None = None


class Blob(NamedTuple):
    """An attachment: `size` bytes announced, `stored` there, `sealed` when verified."""

    sha256: str
    size: int
    stored: int
    sealed: int
    owner: int


class Snapshot(NamedTuple):
    """All that a broker keeps in memory when it starts; nothing here grows with mail.

    Attributes:
        epoch: this broker's, one more than any before it.
        last_seq: highest ever given.
        last_wall: latest `accepted_at` ever written; time never runs behind it.
        network_id: random, made once; it stays whatever the network is called.
        pins: folded names of other networks, and the ids that they had at first.
        counters: as last written by `Registry.put_counters`.
        pauses: numbers of agents that are paused; 0 for the network.
    """

    epoch: int
    last_seq: int
    last_wall: int
    counters: dict[str, int]
    agents: list[Agent]
    keys: list[AgentKey]
    aliases: list[Alias]
    subscriptions: list[Subscription]
    mailboxes: list[Mailbox]
    network_id: str = ""
    links: list[LinkRow] = []
    pins: dict[str, str] = {}
    pauses: list[int] = []


def fingerprint(header: bytes, body: bytes) -> bytes:
    """What stays of a message whose content is gone, to know a resend by: 16 bytes of
    BLAKE2b of the header, and 16 of the body; or the digest that its origin made."""
    crossing = digest_of(header)
    if crossing is not None:
        return crossing
    return (
        blake2b(header, digest_size=16).digest()
        + blake2b(body, digest_size=16).digest()
    )


def totals_of(entries: Iterable[Entry]) -> dict[int, Mailbox]:
    """The totals of the mailboxes of `entries`: what `put_totals` should be told."""
    totals: dict[int, Mailbox] = {}
    for entry in entries:
        old = totals.get(entry.mailbox, Mailbox(entry.mailbox, 0, 0))
        totals[entry.mailbox] = Mailbox(
            entry.mailbox, old.messages + 1, old.bytes + entry.size
        )
    return totals
