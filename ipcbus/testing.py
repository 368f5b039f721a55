"""A test kit: a whole bus in one thread, with no socket, no process and no waiting.

    clock = FakeClock()
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bob = MemoryLink(bus, "bob")
    sending = alice.submit("bob", "hello")
    bob.read()
    bus.settle_down()
    assert sending.done() and bob.take()[0].body == "hello"

The broker is the real core over the store in memory, the client the real tracker: what
is put in their place is the link between them. It behaves as a TCP connection can: what
is said is **delayed** until somebody lets it through, what is under way when it is cut
is **dropped** from any point on, and a client that comes back **repeats** what was not
answered. `MemoryBroker.takeover` is a broker that was killed and replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Unpack

from ipcbus.broker.events import Event, Hand, Now, PeerLost, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.client.asking import Options
from ipcbus.client.calling import Asked, Awaited
from ipcbus.client.compose import compose
from ipcbus.client.ids import Ids
from ipcbus.client.intake import Fetch
from ipcbus.client.message import BaseMessage, Outgoing, Receipt, Settlement
from ipcbus.client.outbox import Sending
from ipcbus.client.tracker import Tracker
from ipcbus.errors import Disconnected, IpcbusError
from ipcbus.protocol.calls import Role
from ipcbus.protocol.codec import Frames, decode_client, encode, encode_deliver
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.records import Agent, AgentKey

START_MS = 1_700_000_000_000


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self, mono: float = 100.0, wall: int = START_MS) -> None:
        self.mono = mono
        self.wall = wall

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += round(seconds * 1000)

    def now(self) -> Now:
        return Now(self.mono, self.wall)


class MemoryBroker:
    """A broker core, its store, and the links of its clients.

    Every turn ends by checking every invariant of the core.
    """

    def __init__(
        self,
        clock: FakeClock,
        network: str = "dev",
        settings: Settings | None = None,
        store: Store | None = None,
    ) -> None:
        self.clock = clock
        self.network = network
        self.links: list[MemoryLink] = []
        self._settings = settings or Settings()
        self._store = store or MemoryStore()
        self._begin()

    def _begin(self) -> None:
        snapshot = self._store.open()
        self.core = Broker(self.network, self._settings, self._store, snapshot)

    def register(self, name: str) -> str:
        """An agent of that name, and its key."""
        key = name.encode().hex().ljust(64, "f")[:64]
        snapshot = self._store.open()
        if all(agent.name != name for agent in snapshot.agents):
            wall = self.clock.wall
            number = len(snapshot.agents) + 1
            self._store.begin()
            self._store.registry.put_agent(Agent(number, name, 1, wall, 0, 0, 0))
            self._store.registry.put_key(
                AgentKey(key, number, Role.AGENT.value, wall, 0, 0)
            )
            self._store.commit()
        self.takeover()
        return key

    def takeover(self) -> None:
        """The broker dies, and another takes over: every link is cut."""
        for link in self.links:
            link.cut(told=False)
        self._begin()

    def turn(self, events: Sequence[Event] = ()) -> None:
        """One transaction, and what it says put on the links."""
        self._store.begin()
        actions = self.core.handle(events, self.clock.now())
        self._store.commit()
        self.core.check_invariants()
        for action in actions:
            if isinstance(action, Say):
                self._put(action.peer, encode(action.message))
            elif isinstance(action, Hand):
                self._put(action.peer, encode_deliver(*action[1:]))

    def _put(self, peer: bytes, frames: Frames) -> None:
        for link in self.links:
            if link.peer == peer:
                link.down.append(frames)

    def settle_down(self, most: int = 10_000) -> None:
        """Let everything through, in turn, until nobody has anything to say."""
        for _ in range(most):
            busy = [link.step() for link in self.links]
            if not any(busy):
                return
        raise AssertionError(f"still talking after {most} rounds")


class MemoryLink:
    """One agent's client, and its connection to a `MemoryBroker`.

    Attributes:
        tracker: the pure half of the real client.
        up, down: frames under way to the broker, and to the client.
        peer: routing id of the present connection; None while there is none.
        lost: why the broker closed the last connection.
    """

    def __init__(self, broker: MemoryBroker, name: str, prefetch: int = 256) -> None:
        self.network = broker.network
        self.clock_ms = 0.0
        self.name = name
        self.broker = broker
        self.key = broker.register(name)
        self.tracker = Tracker(self._make, name, prefetch)
        self.up: deque[Frames] = deque()
        self.down: deque[Frames] = deque()
        self.peer: bytes | None = None
        self.lost: IpcbusError | None = None
        self._connections = 0
        self._ids = Ids(START_MS, name.encode().ljust(5, b"\0")[:5])
        broker.links.append(self)
        self.connect()

    # --- the connection ----------------------------------------------------

    def connect(self) -> None:
        """A new connection, if there is none."""
        if self.peer is None:
            self._connections += 1
            self.peer = f"{self.name}/{self._connections}".encode()
            self.tracker.opened(self.broker.clock.mono)

    def cut(self, *, heard: int = 0, told: bool = True) -> None:
        """The connection breaks. The broker gets no more of what is under way; the
        client still hears `heard` frames. `told`: the broker notices at once."""
        for _ in range(min(heard, len(self.down))):
            self.hear()
        self.up.clear()
        self.down.clear()
        peer, self.peer = self.peer, None
        if peer is not None:
            self.tracker.lost()
            if told:
                self.broker.turn([PeerLost(peer)])

    def speak(self) -> int:
        """Put on the way what the client has to say; how many frames."""
        said = list(self.tracker.say())
        self.up.extend(said)
        return len(said)

    def arrive(self, most: int = 1) -> int:
        """Let the broker hear up to `most` frames, in one turn."""
        events: list[Event] = []
        while self.up and len(events) < most and self.peer is not None:
            message = decode_client(*self.up.popleft())
            events.append(Received(self.peer, self.key, message))
        if events:
            self.broker.turn(events)
        return len(events)

    def hear(self) -> bool:
        """Let the client hear one frame. Whether there was one."""
        if not self.down:
            return False
        try:
            self.tracker.heard(*self.down.popleft(), self.broker.clock.mono)
        except IpcbusError as error:
            self.lost = error
            self.cut()
        return True

    def tick(self) -> None:
        """Time has passed for the client."""
        try:
            self.tracker.tick(self.broker.clock.mono)
        except Disconnected as error:
            self.lost = error
            self.cut()

    def step(self) -> bool:
        """Connect, speak, let it arrive, hear: whether anything happened."""
        self.connect()
        said = self.speak() + self.arrive(len(self.up))
        heard = 0
        while self.hear():
            heard += 1
        return bool(said or heard)

    # --- the application ---------------------------------------------------

    def submit(
        self, to: str, body: str | bytes = "", **options: Unpack[Options]
    ) -> Sending:
        sending = Sending(*compose(Outgoing(to, body, **options), self._ids))
        self.tracker.outbox.waiting.append(sending)
        return sending

    def read(self, lease_ms: int = 60_000) -> None:
        """Want messages."""
        self.tracker.intake.want(lease_ms)

    def take(self, most: int = 10_000) -> list[BaseMessage]:
        """What has come."""
        return self.tracker.intake.take(most, self.broker.clock.mono)

    def fetch(self, most: int, wait_s: float = 0.0, lease_ms: int = 60_000) -> Fetch:
        fetch = Fetch(most, 1 << 26, lease_ms, self.broker.clock.mono + wait_s)
        self.tracker.intake.fetch(fetch)
        return fetch

    def call(self, name: str, *args: Any) -> Asked:
        asked = Asked(name, args)
        self.tracker.calling.call(asked)
        return asked

    def wait_for(self, id_: str) -> Awaited:
        awaited = Awaited(id_)
        self.tracker.wait_for(awaited)
        return awaited

    # --- what messages need of their client --------------------------------

    def settle(self, settlement: Settlement) -> Settlement:
        self.tracker.settling.waiting.append(settlement)
        return settlement

    def send(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        raise NotImplementedError("nobody can wait here: submit, and let it through")

    async def send_async(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        raise NotImplementedError("nobody can wait here: submit, and let it through")

    def _make(self, *fields: Any) -> BaseMessage:
        return BaseMessage(self, *fields)
