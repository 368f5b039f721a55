"""Who gets a message: from the words of an address to mailboxes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ipcbus.broker.directory import Directory
from ipcbus.broker.links import OUT, Link, Links
from ipcbus.broker.mailbox import Mailbox, Mailboxes
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import BoundExceeded, NotPermitted, UnknownRecipient
from ipcbus.protocol import address
from ipcbus.protocol.address import Kind
from ipcbus.protocol.messages import ACCEPTED, FLAG_FUTURE, FORWARDED, FUTURE, Draft
from ipcbus.store.base import Crossings
from ipcbus.store.records import ReplyGrant, Row

_NOBODY_YET = "; to have the message wait for that name, send it with future"

parse_cached = lru_cache(maxsize=4096)(address.parse)


class Route(NamedTuple):
    """Where a message goes: mailboxes, and what the sender is told.

    `link`: it leaves by this one. `grant`: because it answers what came by it.
    """

    boxes: list[Mailbox]
    state: str
    facts: dict[str, Any]
    link: Link | None = None
    grant: ReplyGrant | None = None


class Routing:
    """Finds recipients; changes nothing but that a name may become expected."""

    def __init__(
        self,
        network: str,
        settings: Settings,
        directory: Directory,
        boxes: Mailboxes,
        links: Links,
        crossings: Crossings,
    ) -> None:
        self._links = links
        self._crossings = crossings
        self._network = network
        self._settings = settings
        self._directory = directory
        self._boxes = boxes

    def find(self, turn: Turn, sender: int, draft: Draft) -> Route:
        to = parse_cached(draft.to)
        match to.kind:
            case Kind.EVERYONE:
                found = self._directory.members()
            case Kind.TOPIC:
                found = self._readers(sender, to.name)
            case _ if self.is_foreign(to):
                return self._route_out(turn, sender, to, draft)
            case _:
                return self._route_to_agent(turn, to, draft)
        others = [number for number in found if number != sender]
        if not others:
            why = "has joined it" if to.kind is Kind.TOPIC else "is there"
            raise UnknownRecipient(
                name=draft.to, network=self._network, hint=f": nobody {why}", near=[]
            )
        boxes = [self._boxes[number] for number in others]
        return Route(boxes, ACCEPTED, {"recipients": len(boxes)})

    def _route_out(
        self, turn: Turn, sender: int, to: address.Address, draft: Draft
    ) -> Route:
        if draft.reply_to is not None and "@" in draft.reply_to:
            back = self.answer(turn, str(sender), draft.to, draft.reply_to)
            if back is not None:
                return back
        name = self._directory.name(sender)
        return self.to_network(to, f"{name}@{self._network}")

    def outcome(self, draft: Draft, known: Row) -> tuple[str, dict[str, Any]]:
        """What to tell of a message that was accepted before."""
        mailbox = known.mailbox
        if not mailbox or self._links.get(mailbox) is not None:
            return ACCEPTED, {}
        agent = self._directory.get(mailbox)
        if agent is None:
            return FUTURE, {}
        to = parse_cached(draft.to)
        if (
            to.kind in (Kind.AGENT, Kind.FOREIGN)
            and address.fold(to.name) != address.fold(agent.name)
            and agent.renamed_at <= known.accepted_at
        ):
            return FORWARDED, {"to": agent.name}
        return (ACCEPTED if agent.registered else FUTURE), {}

    def _readers(self, sender: int, topic: str) -> list[int]:
        """Who gets a topic's message; links only where the owner lets it out."""
        found = self._directory.readers(topic)
        if not len(self._links):
            return found
        name = f"{self._directory.name(sender)}@{self._network}"
        passing = []
        for number in found:
            link = self._links.get(number)
            if link is None or (link.leads_out and link.passes(OUT, name, f"#{topic}")):
                passing.append(number)
        return passing

    def answer(self, turn: Turn, replier: str, to: str, reply_to: str) -> Route | None:
        """The way back of an answer to what came by a link; None if nothing lets it.

        `replier` as in a `ReplyGrant`, `to` in full.
        """
        grant = self._crossings.grant(reply_to, replier)
        if grant is None or grant.until <= turn.now.wall:
            return None
        if grant.left <= turn.granted[reply_to, replier]:
            return None
        link = self._links.get(grant.link)
        if link is None or not link.leads_out:
            return None
        if address.fold(grant.requester) != address.fold(to):
            return None
        return Route([link.box], ACCEPTED, {}, link, grant)

    def to_network(self, to: address.Address, sender: str) -> Route:
        """The way out for `sender` (in full). Raises `UnknownRecipient`,
        `NotPermitted`."""
        assert to.network is not None
        link = self._links.towards(to.network)
        if link is None:
            raise UnknownRecipient(
                name=str(to),
                network=self._network,
                hint=f": no bridge leads to {to.network}",
                near=[],
            )
        if not link.passes(OUT, sender, str(to)):
            raise NotPermitted(
                reason=f"the owner of {self._network} lets no such mail out"
            )
        return Route([link.box], ACCEPTED, {}, link)

    def is_foreign(self, to: address.Address) -> bool:
        return to.network is not None and address.fold(to.network) != address.fold(
            self._network
        )

    def _route_to_agent(self, turn: Turn, to: address.Address, draft: Draft) -> Route:
        found = self._directory.named(to.name)
        if found is not None and found.registered:
            return Route([self._boxes[found.number]], ACCEPTED, {})
        forwarded = self._directory.forwarded(to.name, turn.now.wall)
        if forwarded is not None:
            box = self._boxes[forwarded.number]
            return Route([box], FORWARDED, {"to": forwarded.name})
        if draft.flags & FLAG_FUTURE:
            return self._route_to_future(turn, to.name)
        near = self._directory.near(to.name)
        raise UnknownRecipient(
            name=to.name,
            network=self._network,
            near=near,
            hint=f"; near names: {', '.join(near)}" if near else _NOBODY_YET,
        )

    def _route_to_future(self, turn: Turn, name: str) -> Route:
        expected = self._directory.expect(name, turn.now.wall)
        turn.touched.add(expected.number)  # the message may be refused all the same
        box = self._boxes[expected.number]
        limit = self._settings.future_messages
        if box.messages >= limit:
            raise BoundExceeded(
                bound="future_messages", value=box.messages + 1, limit=limit
            )
        return Route([box], FUTURE, {})
