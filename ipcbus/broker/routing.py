"""Who gets a message: from the words of an address to mailboxes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ipcbus.broker.delivery import Mailboxes
from ipcbus.broker.directory import Directory
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import BoundExceeded, UnknownRecipient
from ipcbus.protocol import address
from ipcbus.protocol.address import Kind
from ipcbus.protocol.messages import ACCEPTED, FLAG_FUTURE, FORWARDED, FUTURE, Draft

_NOBODY_YET = "; to have the message wait for that name, send it with future"

parse_cached = lru_cache(maxsize=4096)(address.parse)


class Route(NamedTuple):
    """Where a message goes: mailboxes, and what the sender is told."""

    boxes: list[Mailbox]
    state: str
    facts: dict[str, Any]


class Routing:
    """Finds recipients; changes nothing but that a name may become expected."""

    def __init__(
        self,
        network: str,
        settings: Settings,
        directory: Directory,
        boxes: Mailboxes,
    ) -> None:
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
                found = self._directory.readers(to.name)
            case _:
                return self._route_to_agent(turn, to, draft)
        others = [number for number in found if number != sender]
        if not others:
            raise UnknownRecipient(
                name=draft.to, network=self._network, hint=": nobody is there", near=[]
            )
        boxes = [self._boxes[number] for number in others]
        return Route(boxes, ACCEPTED, {"recipients": len(boxes)})

    def outcome(self, draft: Draft, mailbox: int) -> tuple[str, dict[str, Any]]:
        """What to tell of a message that went to `mailbox` (0: to several) before."""
        if not mailbox:
            return ACCEPTED, {}
        agent = self._directory.agent(mailbox)
        to = parse_cached(draft.to)
        if to.kind in (Kind.AGENT, Kind.FOREIGN) and (
            address.fold(to.name) != address.fold(agent.name)
        ):
            return FORWARDED, {"to": agent.name}
        return (ACCEPTED if agent.registered else FUTURE), {}

    def _route_to_agent(self, turn: Turn, to: address.Address, draft: Draft) -> Route:
        if to.network is not None and address.fold(to.network) != address.fold(
            self._network
        ):
            raise UnknownRecipient(
                name=str(to),
                network=self._network,
                hint=f": no bridge leads to {to.network}",
                near=[],
            )
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
        box = self._boxes[expected.number]
        limit = self._settings.future_messages
        if box.messages >= limit:
            raise BoundExceeded(
                bound="future_messages", value=box.messages + 1, limit=limit
            )
        return Route([box], FUTURE, {})
