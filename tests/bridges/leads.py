"""Who leads each link, as brokers have told, and who was believed all the same.

A way is a network and the other one that its link leads to. Whoever was told last that
it leads a way takes mail out of it and says what became of that; nobody else does. At
the other end counts the epoch that was told with the lead: none is believed that is
lower than one that was believed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipcbus.broker.events import Action, Event, Hand, Received, Say
from ipcbus.protocol.messages import (
    Accepted,
    Answer,
    Call,
    Hello,
    Return,
    Settled,
    Xfer,
)
from tests.bridges.cluster import Cluster
from tests.bridges.wires import Net
from tests.broker.harness import OPERATOR_KEY, key_of

Way = tuple[str, str]

NOBODY = b""


class Leads(Cluster):
    def __init__(self, *names: str, **options: Any) -> None:
        self._led: dict[Way, tuple[int, bytes]] = {}
        """The highest epoch, and whom it was given to."""
        self._handed: dict[Way, int] = {}
        """The highest epoch that the other end has believed."""
        self._paused: set[Way] = set()
        self._bridges: dict[tuple[str, bytes], Way] = {}
        """By network and connection."""
        self._keys = {key_of(f"@{name}"): name for name in names}
        super().__init__(*names, **options)

    def _hear(self, net: Net, events: Sequence[Event], done: list[Action]) -> None:
        super()._hear(net, events, done)
        for event in events:
            if isinstance(event, Received):
                self._note_event(net, event, done)
        for action in done:
            if isinstance(action, Hand):
                way = self._bridges.get((net.network, action.peer))
                if way is not None:
                    self._check_leader(way, action.peer, "was given mail")

    def _note_event(self, net: Net, event: Received, done: list[Action]) -> None:
        peer, key, message = event
        here, there = net.network, self._keys.get(key, "")
        match message:
            case Hello() if there:
                self._bridges[here, peer] = here, there
            case Call(ref, "lead"):
                told = [a for a in said_to(done, peer, Answer) if a.ref == ref]
                if told and told[0].value[0]:
                    self._note_lead((here, there), told[0].value[1], peer)
            case Call(_, "steer", [other, action]) if key == OPERATOR_KEY:
                self._note_steered(here, str(other), str(action))
            case Return() if said_to(done, peer, Settled):
                self._check_leader((here, there), peer, "was believed")
            case Xfer(_, epoch) if said_to(done, peer, Accepted):
                self._check_epoch((there, here), epoch)

    def _note_lead(self, way: Way, epoch: int, peer: bytes) -> None:
        before, _ = self._led.get(way, (0, NOBODY))
        assert epoch > before, f"{way} was led under epoch {epoch} before"
        assert way not in self._paused, f"{way} is led, though its owner paused it"
        self._led[way] = epoch, peer

    def _note_steered(self, here: str, other: str, action: str) -> None:
        if action == "pause":
            self._paused.add((here, other))
            self._led[here, other] = (
                self._led.get((here, other), (0, NOBODY))[0],
                NOBODY,
            )
        elif action == "resume":
            self._paused.discard((here, other))
        elif action == "trust":
            self._handed.pop((other, here), None)

    def _check_leader(self, way: Way, peer: bytes, what: str) -> None:
        _, leader = self._led.get(way, (0, NOBODY))
        assert peer == leader, f"{peer!r} {what}, but {leader!r} leads {way}"

    def _check_epoch(self, way: Way, epoch: int) -> None:
        newest, _ = self._led.get(way, (0, NOBODY))
        believed = self._handed.get(way, 0)
        assert believed <= epoch <= newest, f"{way}: {epoch} after {believed}, {newest}"
        self._handed[way] = epoch


def said_to(done: list[Action], peer: bytes, kind: type) -> list[Any]:
    return [
        action.message
        for action in done
        if isinstance(action, Say)
        and action.peer == peer
        and isinstance(action.message, kind)
    ]
