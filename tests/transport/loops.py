"""The broker's loop in a thread of a test, around a core of the test's own.

The loop, its sockets and its store are the real ones. The core is small, so that a
test can say what it does: `Echo` answers a SEND by ACCEPTED and a PING by PONG, and
`Script` does what a function says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ipcbus.broker.events import (
    Action,
    Broken,
    Event,
    Now,
    PeerLost,
    Received,
    Say,
)
from ipcbus.protocol import limits
from ipcbus.protocol.messages import (
    Accepted,
    Closed,
    Hello,
    Ping,
    Pong,
    Send,
    Welcome,
)
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport.clock import Clock
from ipcbus.transport.keys import KeyPair, generate
from ipcbus.transport.runner import Life, Runner
from ipcbus.transport.sockets import Sockets
from ipcbus.transport.wake import Waker
from tests.transport.peers import Peer

NETWORK = "dev"


class Watched(SqliteStore):
    """A real store that does `at_commit` before each commit."""

    at_commit: Callable[[], None] = staticmethod(lambda: None)

    def commit(self) -> None:
        self.at_commit()
        super().commit()


def watched(at_commit: Callable[[], None]) -> Callable[[Path], SqliteStore]:
    def make(path: Path) -> SqliteStore:
        store = Watched(path, network="dev", ballast=None)
        store.at_commit = at_commit
        return store

    return make


class Echo:
    """A core that answers at once and remembers what it was told."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.events: list[Event] = []
        self.epoch = 0

    def admitted(self, wall: int) -> set[str]:
        return self.keys

    def next_deadline(self, now: Now) -> float | None:
        return None

    def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
        self.events += events
        actions: list[Action] = []
        for event in events:
            actions += self.react(event)
        return actions

    def react(self, event: Event) -> list[Action]:
        match event:
            case Received(peer, _, Hello()):
                version = (limits.MAJOR, limits.MINOR)
                return [Say(peer, Welcome(*version, NETWORK, 1, 1, None, "agent", 0))]
            case Received(peer, _, Ping(number)):
                return [Say(peer, Pong(number, self.epoch))]
            case Received(peer, _, Send(ref)):
                return [Say(peer, Accepted(ref, []))]
            case Broken(peer, _, reason):
                return [Say(peer, Closed("remote_protocol", {"reason": reason}))]
        return []

    def lost(self) -> list[bytes]:
        return [event.peer for event in self.events if isinstance(event, PeerLost)]

    def broken(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Broken)]


class Script(Echo):
    """An `Echo` that reacts to what is received by `act` first."""

    def __init__(self, act: Callable[[Received], list[Action] | None]) -> None:
        super().__init__()
        self._act = act

    def react(self, event: Event) -> list[Action]:
        if isinstance(event, Received):
            actions = self._act(event)
            if actions is not None:
                return actions
        return super().react(event)


class Loop:
    """A loop that serves while the `with` block lasts.

    Args:
        fails: what the loop must have ended by.

    Attributes:
        failure: what ended it, if it was not told to stop.
        lives: one for each epoch.
    """

    def __init__(
        self,
        folder: Path,
        core: Echo | None = None,
        *,
        plain: bool = False,
        store: Callable[[Path], SqliteStore] | None = None,
        fails: type[BaseException] | None = None,
    ) -> None:
        self.core = core or Echo()
        self.server = None if plain else generate()
        self.failure: BaseException | None = None
        self.lives: list[Life] = []
        self._folder = folder
        self._fails = fails
        self._make = store or make_store
        self._ready = threading.Event()
        self._peers: list[Peer] = []
        self._thread = threading.Thread(target=self._run, name="loop")

    def __enter__(self) -> Loop:
        self._thread.start()
        assert self._ready.wait(10)
        assert self.failure is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for peer in self._peers:
                peer.close()
        finally:
            self.stop()
        if kind is None and self._fails is not None:
            assert isinstance(self.failure, self._fails)
        elif kind is None and self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        if self._thread.is_alive():
            self.waker.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def peer(
        self, keys: KeyPair | None = None, *, admit: bool = True, **how: Any
    ) -> Peer:
        """A peer whose key may connect; it is closed at the end."""
        keys = keys or generate()
        if admit:
            self.core.keys.add(keys.public)
            self.sockets.gate.admit(keys.public)
        server_key = self.server.public if self.server else ""
        made = Peer(self.endpoint, server_key, keys, **how)
        self._peers.append(made)
        return made

    def forget(self, peer: Peer) -> None:
        """The test has closed it."""
        self._peers.remove(peer)

    def _begin(self) -> Life:
        store = self._make(self._folder / "bus.db")
        snapshot = store.open()
        self.core.epoch = snapshot.epoch
        life = Life(snapshot.epoch, store, self.core, Clock(snapshot.last_wall), 0)
        self.lives.append(life)
        return life

    def _run(self) -> None:
        self.waker = Waker()
        try:
            self.sockets = Sockets(NETWORK, self.server)
            life = self._begin()
            runner = Runner(NETWORK, self.sockets, self.waker, life, self._begin)
            self.endpoint = self.sockets.front.bind("127.0.0.1", 0)
            self._ready.set()
            try:
                runner.run()
            finally:
                self.sockets.close(100)
                self.lives[-1].store.close()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.failure = error
        finally:
            self._ready.set()
            self.waker.close()


def make_store(path: Path) -> SqliteStore:
    return SqliteStore(path, network=NETWORK, ballast=None)
