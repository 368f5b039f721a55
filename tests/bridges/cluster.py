"""Networks and bridges in one thread: the cores, and queues in the place of sockets.

    town = Cluster("dev", "prod")
    town.people("alice@dev", "bob@prod")
    town.bridge("dev", "prod")
    town.send("alice@dev", "bob@prod")
    town.run()
    (mail,) = town.read("bob@prod")

Each network is a broker core over a store in memory, each direction of a bridge the
real `Link` with the real trackers of its two ends; what they say goes through the real
codec. What is under way stands on queues, and nothing moves but by `run` (all of it, in
an order that a seed decides) or step by step. So a test can hold frames back, lose
them, or let those of a link that is long gone arrive late.

Every turn of every broker ends by checking all of its invariants (`Harness`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from ipcbus.broker.events import Action, Event, Hand, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.protocol.codec import Frames, decode_client, encode
from ipcbus.store.base import Store
from ipcbus.transport.outbox import parcels
from ipcbus_bridges.rules import Rules, Terms, parse_short
from tests.bridges.seats import Seat, beside
from tests.bridges.wires import End, Net, Wire
from tests.broker.harness import OPERATOR, Delivered, draft, key_of

MOST_STEPS: Final = 100_000
"""Frames that may move before everything must have come to rest."""

USUAL_TERMS: Final = Terms()


class Cluster:
    """Networks, and the wires between them.

    Args:
        settings: of all networks, or by name.
        make, reopen: the store of the network of a name, at first and later on.
        share: the same for a broker that takes over from one that is stopped.
    """

    def __init__(
        self,
        *names: str,
        seed: int = 0,
        settings: Settings | dict[str, Settings] | None = None,
        make: Callable[[str], Store] = Seat,
        reopen: Callable[[str, Store], Store] = lambda name, store: store,
        share: Callable[[str, Store], Store] = beside,
    ) -> None:
        given = settings if isinstance(settings, dict) else {}
        usual = settings if isinstance(settings, Settings) else Settings()
        self.random = random.Random(seed)
        self.wires: list[Wire] = []
        self.strays: list[tuple[Net, bytes, str, Frames]] = []
        self.nets: dict[str, Net] = {}
        self._made = 0
        self._ids = 0
        for name in names:
            self.nets[name] = Net(
                name,
                given.get(name, usual),
                partial(make, name),
                partial(reopen, name),
                partial(share, name),
                self._hear,
            )

    def close(self) -> None:
        for net in self.nets.values():
            net.broker.check_invariants()
            net.close()
            for sleeper in net.sleepers:
                sleeper.store.close()

    # --- who is there ----------------------------------------------------------------

    def people(self, *addresses: str) -> None:
        for address in addresses:
            name, _, network = address.partition("@")
            self.nets[network].join_up(name)
            self.nets[network].agents.append(name)

    def link(self, source: str, destination: str, rules: Rules) -> Wire:
        """One direction of a bridge, connected at the next `run`."""
        for here, there in ((source, destination), (destination, source)):
            self.nets[here].call(OPERATOR, "link", there, key_of(f"@{there}"), "out")
        self._made += 1
        name = f"{source}-{destination}#{self._made}"
        ends = self.nets[source], self.nets[destination]
        wire = Wire(name, *ends, rules, self.watch)
        self.wires.append(wire)
        return wire

    def bridge(
        self, a: str, b: str, *texts: str, terms: Terms = USUAL_TERMS
    ) -> tuple[Wire, Wire]:
        """Both directions, running. `texts`: see `rules_of`."""
        rules = rules_of(a, b, *texts, terms=terms)
        pair = self.link(a, b, rules), self.link(b, a, rules)
        self.run()
        return pair

    def kill(self, wire: Wire, *, told: bool = True, stray: bool = False) -> None:
        """A link is gone for ever. `stray`: what it has said is under way still."""
        self.wires.remove(wire)
        for end in wire.ends:
            if stray and end.peer is not None:
                frames = [(end.net, end.peer, end.key, one) for one in end.up]
                self.strays += frames
            end.lose(told=told)

    def restart(self, network: str, *, told: bool = True) -> None:
        """Another broker takes over. Not `told`: links learn it from its answer."""
        self.nets[network].restart()
        for wire in self.wires:
            for end in wire.ends:
                if end.network == network and told:
                    end.lose("its broker is gone", told=False)

    def usurp(self, network: str, *, told: bool = True) -> None:
        """Another broker takes over from one that is stopped, and has not read all."""
        net = self.nets[network]
        unread = [
            Received(end.peer, end.key, decode_client(*frames))
            for _, end in self._ends()
            if end.net is net and end.peer is not None
            for frames in end.up
        ]
        net.usurp(unread)
        for _, end in self._ends():
            if end.net is net and told:
                end.lose("its broker does not answer", told=False)

    def watch(self, wire: Wire, action: Any) -> None:
        """A link is about to do this: for who wants to look."""

    # --- frames move -----------------------------------------------------------------

    def _ends(self) -> list[tuple[Wire, End]]:
        return [(wire, end) for wire in self.wires for end in wire.ends]

    def _hear(self, net: Net, events: Sequence[Event], done: list[Action]) -> None:
        ends = {end.peer: end for _, end in self._ends() if end.net is net}
        for action in done:
            if isinstance(action, Say | Hand) and action.peer in ends:
                down = ends[action.peer].down
                if isinstance(action, Hand):
                    down.extend(parcels(action))
                else:
                    down.append(encode(action.message))

    def step(self) -> bool:
        """Move one frame, any. False if none can move."""
        ways: list[Callable[[], None]] = []
        for wire, end in self._ends():
            if end.up and not end.held_up:
                ways.append(end.arrive)
            if end.down and not end.held_down and not wire.frozen:
                ways.append(end.hear)
        if ways:
            self.random.choice(ways)()
        return bool(ways)

    def run(self, most: int = MOST_STEPS) -> None:
        """Connect who can be, and let everything through until nothing moves."""
        for _ in range(most):
            for wire in self.wires:
                wire.connect()
            if not self.step() and not self._catch_up():
                return
        raise AssertionError(f"still talking after {most} frames")

    def _catch_up(self) -> bool:
        """Turns that brokers want although nobody says anything."""
        behind = [
            net
            for net in self.nets.values()
            if net.broker.next_deadline(net.now) == 0.0
        ]
        for net in behind:
            net.turn()
        return bool(behind)

    def let_stray(self) -> None:
        """What the dead have said arrives."""
        strays, self.strays = self.strays, []
        for net, peer, key, frames in strays:
            net.turn(Received(peer, key, decode_client(*frames)))

    def advance(self, seconds: float) -> None:
        """Time goes by, at once; then everything runs."""
        for net in self.nets.values():
            pinging = [
                (end.peer, end.key)
                for wire, end in self._ends()
                if end.net is net and end.peer and not wire.frozen
            ]
            net.pass_by(seconds, *pinging)
        for wire, end in self._ends():
            end.refused = False
            wire.tick()
        self.run()

    def pass_time(self, seconds: int) -> None:
        """Second by second."""
        for _ in range(seconds):
            self.advance(1.0)

    # --- mail ------------------------------------------------------------------------

    def send(
        self, sender: str, to: str, *, as_: str = "", body: str = "hi", **fields: Any
    ) -> str:
        """Send one message, with the id `as_` or any.

        Returns "accepted", or the state or code that it got instead.
        """
        name, _, network = sender.partition("@")
        self._ids += 1
        one = draft(as_ or f"m{self._ids}", to, **fields)
        said = self.nets[network].send(name.encode(), one, body=body)
        return str(said[0][1]) if said else "accepted"

    def fetch(self, address: str) -> list[Delivered]:
        """What waits, leased."""
        name, _, network = address.partition("@")
        return self.nets[network].fetch(name.encode())

    def read(self, address: str) -> list[Delivered]:
        """What waits, acked."""
        name, _, network = address.partition("@")
        found = self.fetch(address)
        if found:
            acks = [mail.receipt for mail in found]
            assert self.nets[network].settle(name.encode(), acks=acks) == []
        return found

    def described(self, network: str, peer: str) -> dict[str, Any]:
        """What the broker of a network says of its link."""
        found = self.nets[network].call(OPERATOR, "links")
        return next(link for link in found if link["peer"] == peer)


def rules_of(a: str, b: str, *texts: str, terms: Terms = USUAL_TERMS) -> Rules:
    """Allows in the short form, and denies with a `!` before them; none at all: the
    rules of a bridge that was given none."""
    if not texts:
        return Rules(a, b, Rules.default(a, b).rules, terms)
    rules = [
        rule
        for n, text in enumerate(texts)
        for rule in parse_short(
            text.removeprefix("!"), allow=text[:1] != "!", id=f"r{n}", a=a, b=b
        )
    ]
    return Rules(a, b, rules, terms)


def texts(mail: Sequence[Delivered]) -> list[str]:
    return [one.text for one in mail]
