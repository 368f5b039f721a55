"""Where a message of another network comes from: names turned, hops and origin checked.

What its source says of a message is believed as far as the source can know it: its
sender must be of the first network of its hops, or of the source if it has none; that
network must have the id that it had when it was first heard of; and this network must
not be among the hops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ipcbus.broker.ends import (
    LOOP,
    NO_SUCH_AGENT,
    NOT_PERMITTED,
)
from ipcbus.broker.links import Link, Links
from ipcbus.broker.routing import parse_cached
from ipcbus.errors import (
    InvalidAddress,
)
from ipcbus.protocol.address import Address, Kind, arriving, fold
from ipcbus.protocol.limits import MAX_HOPS
from ipcbus.protocol.messages import (
    DEFERRED,
    REFUSED,
    Move,
)

FULL = "4.2.2"
NO_ROOM = "4.3.1"

RETRY_MS = 1_000
"""After which a bridge may try again what was deferred; it backs off from there."""


class Verdict(Exception):
    """Not accepted: deferred or refused, and why."""

    def __init__(self, outcome: str, status: str, reason: str) -> None:
        super().__init__(reason)
        facts: dict[str, Any] = {"status": status, "reason": reason}
        if outcome == DEFERRED:
            facts["retry_ms"] = RETRY_MS
        self.outcome, self.facts = outcome, facts


def refused(status: str, reason: str) -> Verdict:
    return Verdict(REFUSED, status, reason)


class Arriving(NamedTuple):
    """A move in the words of this network."""

    move: Move
    id: str
    sender: str
    to: Address
    reply_to: str | None
    hops: list[str]


class Border:
    """Reads moves in the words of this network, if their origin and hops are true."""

    def __init__(self, network: str, links: Links) -> None:
        self._network = network
        self._links = links

    def came_round(self, move: Move) -> bool:
        """Whether it went out from here: then its id is known, but it is no duplicate
        of what is here to be delivered."""
        here = self._links.network_id
        return any(hop.partition("/")[2] == here for hop in move.hops or ())

    def read(self, link: Link, move: Move) -> Arriving:
        """A move in our words, if its origin and hops are true."""
        peer, here = link.peer, self._network
        hops = [*(move.hops or ()), link.hop()]
        if self.came_round(move):
            raise refused(LOOP, f"it came through {here} before")
        if len(hops) > MAX_HOPS:
            raise refused(LOOP, f"it came through {len(hops)} networks")
        parts = [hop.partition("/") for hop in hops]
        if not all(name and id_ for name, _, id_ in parts):
            raise refused(NOT_PERMITTED, "a hop is the name of a network and its id")
        origin = parts[0]
        sender = arriving(move.sender, peer, here)
        id_ = arriving(move.id, peer, here)
        if not _is_of(origin[0], sender, id_):
            raise refused(NOT_PERMITTED, "its sender is not of where it comes from")
        if not self._links.is_known(origin[0], origin[2]):
            raise refused(NOT_PERMITTED, f"{origin[0]} is not the network that it was")
        try:
            to = parse_cached(move.to)
        except InvalidAddress as error:
            raise refused(NO_SUCH_AGENT, str(error)) from error
        if to.kind is Kind.FOREIGN and fold(to.network or "") == fold(here):
            to = Address(Kind.AGENT, to.name)
        elif to.kind is Kind.AGENT:
            to = Address(Kind.FOREIGN, to.name, peer)
        reply_to = move.reply_to and arriving(move.reply_to, peer, here)
        return Arriving(move, id_, sender, to, reply_to, hops)


def _is_of(network: str, sender: str, id_: str) -> bool:
    """Whether both are told as of this network. What is told as of here, and so is bare
    in our words, never is, whatever it is called."""
    try:
        who = parse_cached(sender)
    except InvalidAddress:
        return False
    base, _, of = id_.rpartition("@")
    return (
        who.kind is Kind.FOREIGN
        and fold(who.network or "") == fold(network)
        and base != ""
        and fold(of) == fold(network)
    )
