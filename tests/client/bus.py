"""A pure client and the real core, joined by a link that is cut at will."""

from __future__ import annotations

from ipcbus.broker.settings import Settings
from ipcbus.protocol.codec import decode_client
from ipcbus.protocol.messages import (
    ClientMessage,
)
from ipcbus.testing import FakeClock, MemoryBroker, MemoryLink


class Bus:
    """A broker and two agents that are connected."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        # A walk may lose a session more often than a message may be tried.
        self.broker = MemoryBroker(self.clock, settings=Settings(max_attempts=10_000))
        self.alice = MemoryLink(self.broker, "alice")
        self.bob = MemoryLink(self.broker, "bob")
        self.broker.settle_down()


def said(link: MemoryLink) -> list[ClientMessage]:
    """What the client says now, decoded; it does not go on its way."""
    return [decode_client(*frames) for frames in link.tracker.say()]


def verbs(messages: list[ClientMessage]) -> list[type]:
    return [type(message) for message in messages]
