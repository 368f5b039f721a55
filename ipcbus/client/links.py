"""The ends of links: how a bridge is a member of a network.

    end = links.connect("dev", "prod", tell=events.put)     # dev's link to prod
    end.credit(4096, 16 << 20)              # egress mail comes as `Delivered`
    end.settle(groups)                      # what became of it
    end.hand_over(ref, epoch, moves, bodies)    # mail of the other network, into dev

An end connects and reconnects by itself, for ever, and tells what happens (`Up`,
`Down`, `Delivered`, ...) on its own thread. Nothing that was asked of it outlives its
connection: at each `Up` a bridge starts from nothing, which is always right, for the
two brokers know what has crossed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ipcbus.client.calling import Asked
from ipcbus.client.connect import operator_key, order
from ipcbus.client.link_tracker import (
    Delivered,
    Down,
    End,
    Ended,
    LinkTracker,
    Taken,
    Unwanted,
    Up,
    Verdicts,
)
from ipcbus.client.pending import Pending
from ipcbus.client.route import Route
from ipcbus.client.worker import Worker
from ipcbus.errors import IpcbusError, NotPermitted
from ipcbus.networks import Network, find, process
from ipcbus.protocol.limits import MAX_CREDIT, MAX_CREDIT_BYTES
from ipcbus.protocol.messages import Credit, Deliver, Header, Move, Return, Xfer
from ipcbus.protocol.pieces import pack_map, pack_meta, unpack_meta
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair

__all__ = [
    "MARK",
    "Deliver",
    "Delivered",
    "Down",
    "End",
    "Ended",
    "Header",
    "LinkEnd",
    "Move",
    "Taken",
    "Unwanted",
    "Up",
    "Verdicts",
    "connect",
    "pack_meta",
    "this_process",
    "unpack_meta",
]

MARK = "@"
"""What the name of a link's agent begins with."""

LEASE_MS = 60_000
"""How long a bridge may hold a message. It holds one for a round trip; this is for one
that is stopped and goes on."""


ORDER_S = 10.0
"""For the order that makes a link: a broker may have to start for it."""


ASK_S = 30.0
"""For an answer that is waited for."""


class LinkEnd(Worker[LinkTracker]):
    """One end of a link. All methods may be called from any thread."""

    greeting_s = 2.0
    longest_delay_s = 1.0

    def __init__(
        self, route: Route, pair: KeyPair, tell: Callable[[End], None], program: str
    ) -> None:
        super().__init__(route, pair, LinkTracker(tell, program), patient=True)
        self._tell = tell
        self.tracker.calling.network = self.network

    @property
    def connected(self) -> bool:
        return self.failed is None and self.tracker.greeted

    def credit(self, messages: int, size: int) -> None:
        """How much egress mail may come before it is settled."""
        messages, size = min(messages, MAX_CREDIT), min(size, MAX_CREDIT_BYTES)
        self._say(Credit(0, messages, size, LEASE_MS))

    def hand_over(
        self, ref: int, epoch: int, moves: list[Move], bodies: list[bytes]
    ) -> None:
        """Messages of the other network; `Verdicts` of `ref` follow."""
        self._say(Xfer(ref, epoch, moves, bodies))

    def settle(self, ref: int, groups: list[list[Any]]) -> None:
        """What became of egress mail: `[outcome, rule, status, reason, ms, runs]`."""
        self._say(Return(ref, groups))

    def call(self, name: str, *args: Any, said: Any = None) -> Pending[Any]:
        """Ask the broker; `said` goes along in the body."""
        body = b"" if said is None else pack_map(said)
        asked = Asked(name, args, body)
        self.post(self.tracker.call, asked)
        return asked

    def ask(self, name: str, *args: Any, body: bytes = b"") -> tuple[Any, bytes]:
        """Ask the broker, and wait for its answer."""
        asked = Asked(name, args, body)
        self.post(self.tracker.call, asked)
        return asked.result(ASK_S)

    def _say(self, said: Xfer | Return | Credit) -> None:
        if self.connected:
            self.tracker.waiting.append(said)
            self._wake()

    def _lost(self, problem: IpcbusError) -> None:
        super()._lost(problem)
        self._tell(Down(str(problem)))

    def _fail(self, error: IpcbusError) -> None:
        super()._fail(error)
        if not self.is_closed():
            self._tell(Ended(error))


def connect(
    network: str,
    peer: str,
    *,
    tell: Callable[[End], None],
    program: str = "",
    start: bool = True,
    outward: bool = True,
) -> LinkEnd:
    """The end in `network` of its link to `peer`; `outward` if it takes mail there.

    The owner of a network makes the link by connecting; of another machine's network it
    takes an invitation for a bridge. Raises `NoNetwork`, `NotPermitted`, `NoBroker`.
    """
    where = find(network)
    route = Route(where, start=start)
    end = LinkEnd(route, _key(where, route, peer, outward), tell, program)
    end.start()
    return end


def this_process() -> list[Any]:
    """This process among all that there ever were: pid, when it started, which boot."""
    return [os.getpid(), process.started(os.getpid()), process.boot_id()]


def _key(network: Network, route: Route, peer: str, outward: bool) -> KeyPair:
    path = network.key_path(f"{MARK}{peer}")
    if path.exists() and not route.is_local:
        return keys.load(path)
    if not route.is_local:
        raise NotPermitted(
            reason=f"{network.name} is another machine's, and no bridge to {peer} was "
            f"invited; there: ipcbus invite --bridge {peer}, here: give the invitation"
        )
    operator_key(route)  # who does not own the network leaves no key behind
    pair = keys.create(path)
    deadline = time.monotonic() + ORDER_S
    args = [peer, pair.public, "out" if outward else "in"]
    order(route, "link", args, deadline, ORDER_S)
    return pair
