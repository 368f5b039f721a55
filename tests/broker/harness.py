"""A broker core with a store and a clock in hand: events in, actions out.

Each turn is one transaction, and ends by checking every invariant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ipcbus.broker.events import Action, Event, Hand, Now, PeerLost, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import MAX_CREDIT_BYTES
from ipcbus.protocol.messages import (
    Accepted,
    Answer,
    BrokerMessage,
    Bye,
    Call,
    ClientMessage,
    Closed,
    Credit,
    Draft,
    Header,
    Hello,
    Ping,
    RefusedCall,
    Send,
    Settle,
    Settled,
    Welcome,
)
from ipcbus.protocol.pieces import runs, unpack_header
from ipcbus.store.base import Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.records import AgentKey

START = 1_700_000_000_000
OPERATOR_KEY = "0" * 64
OPERATOR = b"operator"

M = TypeVar("M", bound=tuple[Any, ...])


def key_of(name: str) -> str:
    """A public key (hex) for an agent of a test."""
    return name.encode().hex().ljust(64, "f")


def draft(id_: str, to: str, **fields: Any) -> Draft:
    plain = Draft(id_, to, "inform", 4, None, None, None, 0, None, None)
    return plain._replace(**fields)


class Delivered(tuple[int, int, Header, bytes]):
    """`(seq, attempt, header, body)` of one delivery."""

    __slots__ = ()

    @property
    def receipt(self) -> tuple[int, int]:
        return self[0], self[1]

    @property
    def header(self) -> Header:
        return self[2]

    @property
    def text(self) -> str:
        return self[3].decode()


class Harness:
    """One broker. `restart()` is a takeover: a new core from the same store."""

    def __init__(
        self,
        settings: Settings | None = None,
        make: Callable[[], Store] = MemoryStore,
        reopen: Callable[[Store], Store] = lambda store: store,
        network: str = "dev",
    ) -> None:
        self.network = network
        self.settings = settings or Settings()
        self.store = make()
        self._reopen = reopen
        self.mono = 100.0
        self.wall = START
        self._refs = 0
        self._open()
        self._install_operator()

    def _open(self) -> None:
        snapshot = self.store.open()
        self.broker = Broker(self.network, self.settings, self.store, snapshot)

    def _install_operator(self) -> None:
        self.store.begin()
        key = AgentKey(OPERATOR_KEY, 0, Role.OPERATOR.value, START, 0, 0)
        self.store.registry.put_key(key)
        self.store.commit()
        self.store = self._reopen(self.store)
        self._open()
        self.hello(OPERATOR, OPERATOR_KEY)

    def restart(self) -> None:
        self.store = self._reopen(self.store)
        self._open()

    def close(self) -> None:
        self.store.close()

    # --- time and turns ----------------------------------------------------

    @property
    def now(self) -> Now:
        return Now(self.mono, self.wall)

    def advance(self, seconds: float) -> list[Action]:
        self.mono += seconds
        self.wall += round(seconds * 1000)
        return self.turn()

    def turn(self, *events: Event) -> list[Action]:
        self.store.begin()
        actions = self.broker.handle(events, self.now)
        self.store.commit()
        self.broker.check_invariants()
        return actions

    def say(self, peer: bytes, message: ClientMessage, key: str = "") -> list[Action]:
        return self.turn(Received(peer, key or self.key(peer), message))

    def key(self, peer: bytes) -> str:
        """Peers of an agent are named after it: `alice`, `alice/2`."""
        name = peer.decode().split("/")[0]
        return OPERATOR_KEY if peer == OPERATOR else key_of(name)

    def ref(self) -> int:
        self._refs += 1
        return self._refs

    # --- words -------------------------------------------------------------

    def hello(self, peer: bytes, key: str = "") -> list[Action]:
        return self.say(peer, Hello(1, 0, 0, "test"), key)

    def join_up(self, *names: str) -> None:
        """Register agents and connect one session of each, named as the agent."""
        for name in names:
            self.call(OPERATOR, "register", name, key_of(name))
            only(self.hello(name.encode()), Welcome)

    def call(self, peer: bytes, name: str, *args: Any, body: bytes = b"") -> Any:
        """The value of a call; the test fails if it is refused."""
        actions = self.say(peer, Call(self.ref(), name, list(args), body))
        return only(actions, Answer).value

    def refused(self, peer: bytes, name: str, *args: Any) -> RefusedCall:
        actions = self.say(peer, Call(self.ref(), name, list(args), b""))
        return only(actions, RefusedCall)

    def send(self, peer: bytes, *drafts: Draft, body: str = "hi") -> list[list[Any]]:
        """Send drafts with the same body; the exceptions of ACCEPTED."""
        bodies = [body.encode()] * len(drafts)
        actions = self.say(peer, Send(self.ref(), list(drafts), bodies))
        return only(actions, Accepted).exceptions

    def credit(
        self, peer: bytes, messages: int, lease_s: float = 60.0
    ) -> list[Delivered]:
        credit = Credit(self.ref(), messages, MAX_CREDIT_BYTES, int(lease_s * 1000))
        return delivered(self.say(peer, credit), peer)

    def fetch(self, peer: bytes, messages: int = 100) -> list[Delivered]:
        """What waits, leased to `peer`; afterwards no more comes."""
        found = self.credit(peer, messages)
        self.credit(peer, 0)
        return found

    def settle(
        self,
        peer: bytes,
        *,
        acks: list[tuple[int, int]] | None = None,
        nacks: list[list[Any]] | None = None,
        extends: list[list[int]] | None = None,
        releases: list[tuple[int, int]] | None = None,
    ) -> list[int]:
        """The stale ones."""
        settle = Settle(
            self.ref(),
            runs(sorted(acks or [])),
            nacks or [],
            extends or [],
            runs(sorted(releases or [])),
        )
        return only(self.say(peer, settle), Settled).stale

    def ping(self, *peers: bytes) -> None:
        for peer in peers:
            self.say(peer, Ping(1))

    def lose(self, peer: bytes) -> list[Action]:
        return self.turn(PeerLost(peer))

    def bye(self, peer: bytes, *, keep_leases: bool = False) -> None:
        self.say(peer, Bye(keep_leases))

    def counters(self) -> dict[str, int]:
        self.hello(OPERATOR)  # it may have been silent for days
        counters: dict[str, int] = self.call(OPERATOR, "status")["counters"]
        return counters


def said(actions: list[Action], kind: type[M]) -> list[M]:
    return [
        action.message
        for action in actions
        if isinstance(action, Say) and isinstance(action.message, kind)
    ]


def only(actions: list[Action], kind: type[M]) -> M:
    found = said(actions, kind)
    assert len(found) == 1, actions
    return found[0]


def closed(actions: list[Action]) -> Closed:
    return only(actions, Closed)


def delivered(actions: list[Action], peer: bytes) -> list[Delivered]:
    return [
        Delivered((seq, attempt, unpack_header(header), body))
        for action in actions
        if isinstance(action, Hand) and action.peer == peer
        for seq, attempt, header, body in zip(
            action.seqs, action.attempts, action.headers, action.bodies, strict=True
        )
    ]


def messages(actions: list[Action]) -> list[BrokerMessage]:
    return [action.message for action in actions if isinstance(action, Say)]
