"""Bridges for the simulations of the test kit: the real links, on queues.

The kit knows no bridge; each direction is a `Wire` of the tests of bridges, whose two
connections stand on brokers of the kit.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, cast

from ipcbus.broker.events import Action, Event
from ipcbus.errors import IpcbusError
from ipcbus.protocol.codec import Frames
from ipcbus.testing.stage import Bridge, Stage, StageBroker
from tests.bridges.cluster import rules_of
from tests.bridges.wires import End, Net, Wire
from tests.broker.harness import key_of

RULES: Final = "* <-> * replies=3"
"""All that may pass between two networks does; what rules refuse is for other walks."""


class Ground:
    """A broker of the kit as an `End` knows its network."""

    def __init__(self, broker: StageBroker) -> None:
        self.broker = broker
        self.network = broker.network

    @property
    def mono(self) -> float:
        return self.broker.clock.mono

    @property
    def wall(self) -> int:
        return self.broker.clock.wall

    def turn(self, *events: Event) -> list[Action]:
        return self.broker.turn(events)


class EndLine:
    """An `End` as its broker knows a connection."""

    def __init__(self, end: End, wire: Wire) -> None:
        self.end = end
        self.key = end.key
        self._wire = wire

    @property
    def speaks(self) -> bool:
        silent = self._wire.frozen or self.end.held_up
        return self.end._tracker.greeted and not silent

    @property
    def peer(self) -> bytes | None:
        return self.end.peer

    @peer.setter
    def peer(self, peer: bytes | None) -> None:
        self.end.peer = peer

    @property
    def down(self) -> deque[Frames]:
        return self.end.down

    @down.setter
    def down(self, down: deque[Frames]) -> None:
        self.end.down = down

    def cut(self, *, told: bool = True) -> None:
        self.end.lose("its broker is gone", told=told)

    def step(self) -> bool:
        return False  # a `Crossing` moves both of its ends


class Crossing:
    """One direction of a bridge; see `ipcbus.testing.stage.Bridge`."""

    def __init__(self, source: StageBroker, destination: StageBroker) -> None:
        self.name = f"{source.network}-{destination.network}"
        self.brokers = (source, destination)
        self.rules = rules_of(*sorted(one.network for one in self.brokers), RULES)
        for here, there in (self.brokers, self.brokers[::-1]):
            peer = there.network
            here.operate("link", peer, key_of(f"@{peer}"), "out")
        self._lives = 0
        self._lines: list[EndLine] = []
        self.wire = self._begin()

    def _begin(self) -> Wire:
        self._lives += 1
        name = f"{self.name}#{self._lives}"
        source, destination = (cast(Net, Ground(broker)) for broker in self.brokers)
        wire = Wire(name, source, destination, self.rules)
        self._lines = [EndLine(end, wire) for end in wire.ends]
        for broker, line in zip(self.brokers, self._lines, strict=True):
            broker.links.append(line)
        return wire

    def step(self, rng: random.Random) -> bool:
        ways = []
        for broker, end in zip(self.brokers, self.wire.ends, strict=True):
            barred = end.cut or end.refused or self.wire.frozen
            if end.peer is None and broker.alive and not barred:
                end.connect()
            if end.up and not end.held_up:
                ways.append(end.arrive)
            if end.down and not end.held_down and not self.wire.frozen:
                ways.append(end.hear)
        if ways:
            way = rng.choice(ways)
            self.brokers[0].events += way.__name__ == "hear"
            way()
        return bool(ways)

    def tick(self) -> None:
        self.brokers[0].events += 1
        for end in self.wire.ends:
            end.refused = False
            if self.wire.frozen or end.peer is None:
                continue
            try:
                end._tracker.tick(end.net.mono)
            except IpcbusError as error:
                end.lose(str(error))
            end.speak()
        self.wire.tick()

    def fault(self, rng: random.Random) -> str:
        how = rng.choice(("lose", "lose", "cut", "hold", "freeze", "die"))
        end = rng.choice(self.wire.ends)
        if how == "lose":
            end.lose(told=rng.random() < 0.7)
        elif how == "cut":
            self.wire.cut(end, told=rng.random() < 0.7)
        elif how == "hold":
            end.held_up, end.held_down = rng.choice(((True, False), (False, True)))
        elif how == "freeze":
            self.wire.frozen = True
        else:
            self.die(rng)
        return f"{how} {end.network}"

    def die(self, rng: random.Random) -> None:
        """It is killed and started again; some of what it has said may arrive."""
        for end in self.wire.ends:
            for _ in range(min(len(end.up), rng.choice((0, 1, 10)))):
                if end.peer is not None and end.up:
                    end.arrive()
            end.lose(told=rng.random() < 0.7)
        for broker, line in zip(self.brokers, self._lines, strict=True):
            broker.links.remove(line)
        self.wire = self._begin()

    def heal(self) -> None:
        self.wire.frozen = False
        for end in self.wire.ends:
            end.cut = end.held_up = end.held_down = end.refused = False


def in_a_row(stage: Stage, rng: random.Random) -> Sequence[Bridge]:
    """A bridge between each network and the next, both ways."""
    brokers = list(stage.brokers.values())
    made = []
    for a, b in pairwise(brokers):
        made += [Crossing(a, b), Crossing(b, a)]
    return made
