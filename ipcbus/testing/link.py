"""A client in memory: the real tracker, and the connection that it talks through."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Unpack

from ipcbus.broker.events import Event, PeerLost, Received
from ipcbus.client.asking import Options
from ipcbus.client.calling import Asked, Awaited
from ipcbus.client.compose import make
from ipcbus.client.ids import Ids
from ipcbus.client.intake import Fetch
from ipcbus.client.message import BaseMessage, Outgoing, Receipt, Settlement
from ipcbus.client.outbox import Sending
from ipcbus.client.tracker import Tracker
from ipcbus.errors import Disconnected, IpcbusError
from ipcbus.protocol.codec import Frames, decode_client
from ipcbus.testing.broker import MemoryBroker
from ipcbus.testing.clock import START_MS


class MemoryLink:
    """One agent's client, and its connection to a `MemoryBroker`.

    Attributes:
        tracker: the pure half of the real client.
        up, down: frames under way to the broker, and to the client.
        peer: routing id of the present connection; None while there is none.
        lost: why the broker closed the last connection.

    Args:
        ids: makes the ids of messages that are sent without one. Those of a client that
            takes the place of another must not be the same.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        name: str,
        prefetch: int = 256,
        ids: Callable[[], str] | None = None,
    ) -> None:
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
        self._ids = ids or Ids(START_MS, name.encode().ljust(5, b"\0")[:5])
        broker.links.append(self)
        self.connect()

    # --- the connection ----------------------------------------------------

    @property
    def speaks(self) -> bool:
        return self.tracker.greeted

    def connect(self) -> None:
        """A new connection, if there is none and somebody serves."""
        if self.peer is None and self.broker.alive:
            self.peer = self.broker.next_peer(self.name)
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

    def close(self) -> None:
        """This client has died: it is cut off, and nobody will hear of it again."""
        self.cut()
        self.broker.links.remove(self)

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
        self.broker.events += 1
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
        sending = make(Outgoing(to, body, **options), self._ids)
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
