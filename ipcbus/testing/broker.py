"""A broker in memory: the real core, a store, and a loop around them that waits for
nothing and does to failures what the loop of a real broker does."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ipcbus.broker.events import Action, Event, Hand, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.errors import CannotServe, Disconnected, StoreFailed, StoreFull, from_wire
from ipcbus.protocol.calls import Role
from ipcbus.protocol.codec import Frames, encode
from ipcbus.protocol.limits import MAJOR, MINOR
from ipcbus.protocol.messages import Answer, Call, Closed, Hello, RefusedCall
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.records import Agent, AgentKey
from ipcbus.testing.clock import FakeClock
from ipcbus.transport.outbox import parcels
from ipcbus.transport.runner import FULL_AGAIN_S

OPERATOR: Final = b"operator"
OPERATOR_KEY: Final = "0" * 64

BEFORE_COMMIT: Final = -1
"""`MemoryBroker.dies_after`: not even the commit is done."""


class Line(Protocol):
    """What a broker knows of a connection to it.

    Attributes:
        peer: its routing id; None while there is none.
        key: the public key that has authenticated it.
        speaks: its other end is awake, and has been greeted.
        down: frames under way to the other end.
    """

    peer: bytes | None
    key: str
    down: deque[Frames]

    @property
    def speaks(self) -> bool: ...

    def cut(self, *, told: bool = True) -> None:
        """It breaks. `told`: the broker notices at once."""

    def step(self) -> bool:
        """Let through what is under way; whether there was anything."""


class MemoryBroker:
    """A broker core, its store, and the links of its clients.

    Every turn ends by checking every invariant of the core. When the store fails, it
    does as a real broker does (`ipcbus.transport.runner`): a turn that found no room is
    void, and the broker takes over from itself; after an I/O error, or when it was
    taken over, it stops at once and answers nobody.

    Attributes:
        alive: False when it has died; then `takeover` brings the next one.
        died: what of, if not by `kill`.
        dies_after: how many actions of the next turn are still carried out before the
            process is killed; `BEFORE_COMMIT` for none and no commit either.
        events: that it and its clients have handled.
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
        self.links: list[Line] = []
        self.dies_after: int | None = None
        self.events = 0
        self._connections = 0
        self._keys: dict[str, str] = {}
        self._settings = settings or Settings()
        self._store = store or MemoryStore(network=network)
        self._put_key(AgentKey(OPERATOR_KEY, 0, Role.OPERATOR.value, clock.wall, 0, 0))
        self._start()

    # --- life and death ----------------------------------------------------

    def _start(self) -> None:
        """A process of its own."""
        self.alive = True
        self.died: CannotServe | None = None
        self.dies_after = None
        self._full_at = -math.inf
        self._begin()

    def _begin(self) -> None:
        snapshot = self._store.open()
        self.core = Broker(self.network, self._settings, self._store, snapshot)

    def kill(self, why: CannotServe | None = None) -> None:
        """The broker is gone between two instructions: every link is cut, and what was
        not committed never happened."""
        self.alive, self.died = False, why
        self._store.close()
        for link in self.links:
            link.cut(told=False)

    def takeover(self) -> None:
        """The broker dies, and another takes over: every link is cut."""
        self.kill()
        self._start()

    def _start_over(self, error: StoreFull) -> None:
        """Take over from ourselves; a second time within a minute ends the process."""
        mono = self.clock.mono
        if mono - self._full_at < FULL_AGAIN_S:
            self.kill(StoreFailed(reason=f"no room, again and again ({error})"))
            return
        self._full_at = mono
        self._store.close()
        reason = "the broker had to start over"
        gone = Disconnected(network=self.network, reason=reason).to_wire()
        for link in self.links:
            if link.peer is not None:
                link.down.append(encode(Closed(*gone)))
        self._begin()

    # --- who there is ------------------------------------------------------

    def register(self, name: str) -> str:
        """An agent of that name, and its key. A name that is new costs a takeover."""
        if name not in self._keys:
            self._keys[name] = key = name.encode().hex().ljust(64, "f")[:64]
            self._register(name, key)
            self.takeover()
        return self._keys[name]

    def _register(self, name: str, key: str) -> None:
        agents = self._store.open().agents
        if any(agent.name == name for agent in agents):
            return
        number, wall = len(agents) + 1, self.clock.wall
        self._store.begin()
        self._store.registry.put_agent(Agent(number, name, 1, wall, 0, 0, 0))
        self._store.commit()
        self._put_key(AgentKey(key, number, Role.AGENT.value, wall, 0, 0))

    def _put_key(self, key: AgentKey) -> None:
        self._store.open()
        self._store.begin()
        self._store.registry.put_key(key)
        self._store.commit()

    def next_peer(self, name: str) -> bytes:
        """A routing id for a connection, as no other has had."""
        self._connections += 1
        return f"{name}/{self._connections}".encode()

    def operate(self, name: str, *args: Any) -> Any:
        """A call of the operator, and its answer; raises the refusal."""
        hello = Hello(MAJOR, MINOR, 0, "operator")
        said = (hello, Call(1, name, list(args), b""))
        done = self.turn([Received(OPERATOR, OPERATOR_KEY, one) for one in said])
        for action in done:
            if isinstance(action, Say) and isinstance(action.message, Answer):
                return action.message.value
            if isinstance(action, Say) and isinstance(action.message, RefusedCall):
                raise from_wire(*action.message[1:])
        raise Disconnected(network=self.network, reason="the broker is gone")

    # --- the loop ----------------------------------------------------------

    def turn(self, events: Sequence[Event] = ()) -> list[Action]:
        """One transaction, and what it says put on the links; what was decided in it,
        or nothing if it came to nothing."""
        if not self.alive:
            return []
        self.events += len(events) or 1
        try:
            self._store.begin()
            actions = self.core.handle(events, self.clock.now())
            self._decided(events, actions)
            if self.dies_after == BEFORE_COMMIT:
                self.kill()
                return []
            self._store.commit()
        except StoreFull as error:
            self._start_over(error)
            return []
        except CannotServe as error:  # of the disk, or fenced
            self.kill(error)
            return []
        self.core.check_invariants()
        self._speak(actions)
        return actions

    def _decided(self, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """For who wants to know what a turn decided, also if nobody hears of it."""

    def _speak(self, actions: Sequence[Action]) -> None:
        for n, action in enumerate(actions):
            if n == self.dies_after:
                break
            if isinstance(action, Say | Hand):
                self._put(action)
        if self.dies_after is not None:
            self.kill()

    def _put(self, action: Say | Hand) -> None:
        peer = action.peer
        for link in self.links:
            if link.peer == peer:
                if isinstance(action, Say):
                    link.down.append(encode(action.message))
                else:
                    link.down.extend(parcels(action))

    def wants_turn(self) -> bool:
        """Whether it would go on at once although nothing has happened."""
        return self.alive and self.core.next_deadline(self.clock.now()) == 0.0

    def settle_down(self, most: int = 10_000) -> None:
        """Let everything through, in turn, until nobody has anything to say."""
        for _ in range(most):
            busy = [link.step() for link in self.links]
            if not any(busy):
                return
        raise AssertionError(f"still talking after {most} rounds")
