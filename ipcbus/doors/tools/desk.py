"""The seat of a model on the bus: who it is, where, and what lies on its desk.

What was shown is leased and not yet read: the model's next call is the first sign
that it saw it, and acks it. A desk that is killed in between leaves the leases behind,
and the messages come again, marked as seen before.

A model may make several calls at once, and such a call is no sign that the answers of
the others were seen. A door that lets it do so opens a `Turn` for each call when it
comes: that acks what had been answered by then, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Final, Self

from ipcbus.client.connect import connect
from ipcbus.client.message import Message
from ipcbus.client.sync import Client
from ipcbus.errors import IpcbusError, NoSuchMessage, UsageError
from ipcbus.networks import choose, create
from ipcbus.protocol.address import fold

LEASE_S: Final = 600.0
"""Seconds that a model may take over what it was shown, before its next call. A desk
that lives longer holds on (`hold_on`)."""

HOLD_EVERY_S: Final = 200.0
"""How often to say so: two may be missed."""

CONNECT_S: Final = 10.0


class Turn:
    """One call of the model, from its coming until its answer has gone out.

    Attributes:
        seen: what had been shown to the model when it made the call.
        shown: what the call shows; on the desk only when it is `answered`.
    """

    def __init__(self, desk: Desk, lock: Lock, seen: Iterable[Message]) -> None:
        self._desk = desk
        self._lock = lock
        self._is_over = False
        self.seen = frozenset(seen)
        self.shown: list[Message] = []

    @contextmanager
    def taken(self) -> Iterator[Desk]:
        """Carry the call out within this, in any thread."""
        token = _turn.set(self)
        try:
            yield self._desk
        finally:
            _turn.reset(token)

    def show(self, messages: Iterable[Message]) -> None:
        with self._lock:
            self.shown += messages
            is_late = self._is_over
        if is_late:
            self.abandon()

    def answered(self) -> None:
        """The model is about to get the answer."""
        with self._lock:
            self._is_over = True
            self._desk.put(self.shown)
            self.shown = []

    @contextmanager
    def read(self) -> Iterator[Self]:
        """For a reader whose end is seen: what was shown within this has been read if
        it ends well, and else by nobody."""
        try:
            yield self
        except BaseException:
            self.abandon()
            raise
        with self._lock:
            self._is_over = True
            seen, self.shown = self.shown, []
        for message in seen:
            _say(message.ack)

    def abandon(self) -> None:
        """Nobody waits for the answer: what it shows, or will show, was never seen."""
        with self._lock:
            self._is_over = True
            unseen, self.shown = self.shown, []
        for message in unseen:
            _say(message.release)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


class Desk:
    """Clients of one agent, a network each, and what was shown of each.

    Any thread may call any method: a model makes several calls at once.
    """

    def __init__(
        self,
        networks: Sequence[str] = (),
        agent: str | None = None,
        *,
        program: str = "ipcbus call",
        create: bool = False,
        start: bool = True,
    ) -> None:
        """`networks`: none means the only one there is, or IPCBUS_NETWORK's; with
        `create` those that are missing are made, and with `start` brokers that nobody
        runs. Without an `agent` the model registers by itself (`sit_down`)."""
        self._named = tuple(dict.fromkeys(networks))
        self._agent = agent
        self._program = program
        self._create = create
        self._start = start
        self._clients: dict[str, Client] = {}
        self._shown: list[Message] = []
        self._opening = Lock()
        self._shown_lock = Lock()

    # --- who and where -----------------------------------------------------

    @property
    def agent(self) -> str | None:
        return self._agent

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of all networks, the one that is meant by default first."""
        if not self._named:
            self._named = (choose(None).name,)
        return self._named

    @property
    def is_wide(self) -> bool:
        """Whether it is a member of several networks."""
        return len(self.networks) > 1

    def sit_down(self, agent: str) -> None:
        """Be `agent`, whose desk this was not. Raises `UsageError`."""
        if self._agent is not None and fold(self._agent) != fold(agent):
            raise UsageError(
                reason=f"you are {self._agent} already; to change that name use rename"
            )
        before, self._agent = self._agent, self._agent or agent
        try:
            for client in self.clients():
                self._agent = self._spelled(client.agent)
        except IpcbusError:
            self._agent = before
            if before is None:
                self._get_up()  # a connection knows one name only
            raise

    def _spelled(self, name: str | None) -> str | None:
        """The name as its network spells it. One that was given by a rename is not
        known to the connection."""
        is_same = name and self._agent and fold(name) == fold(self._agent)
        return name if is_same else self._agent

    def be_called(self, agent: str) -> None:
        """It was renamed."""
        self._agent = agent

    def client(self, network: str | None = None) -> Client:
        """Its connection to a network; to the first if none is named.

        Raises `UsageError` if the network is not one of its own or nobody said who
        the agent is, and what `connect` raises.
        """
        name = self._own(network)
        if not self._agent:
            reason = "who are you? Register first: profile with your name"
            raise UsageError(reason=reason)
        with self._opening:
            client = self._clients.get(name)
            if client is None or client.closed:
                client = self._clients[name] = self._connect(name, self._agent)
            return client

    def _connect(self, network: str, agent: str) -> Client:
        if self._create:
            create(network)
        return connect(
            network,
            agent=agent,
            start=self._start,
            timeout=CONNECT_S,
            program=self._program,
        )

    def _own(self, network: str | None) -> str:
        if network is None:
            return self.networks[0]
        for name in self.networks:
            if fold(name) == fold(network):
                return name
        own = ", ".join(self.networks)
        raise UsageError(
            reason=f"you are not in network {network[:40]!r}, but in {own}"
        )

    def clients(self, network: str | None = None) -> Iterator[Client]:
        """Of all its networks, or of the one that is named."""
        if network is not None:
            yield self.client(network)
            return
        for name in self.networks:
            yield self.client(name)

    def towards(self, to: str, network: str | None) -> tuple[Client, str]:
        """The client to send by, and the address as it is there: what is in one of
        its own networks needs no bridge."""
        name, at, other = to.rpartition("@")
        if network is None and at and fold(other) in map(fold, self.networks):
            return self.client(other), name
        return self.client(network), to

    # --- what was shown ----------------------------------------------------

    def turn(self, *, is_sign: bool = True) -> Turn:
        """A call has come. If it is no sign that the model lives, it acks nothing."""
        with self._shown_lock:
            return Turn(self, self._shown_lock, self._shown if is_sign else ())

    def show(self, messages: Iterable[Message]) -> None:
        """These are about to be shown."""
        turn = _turn.get()
        if turn is not None:
            turn.show(messages)
            return
        with self._shown_lock:
            self.put(messages)

    def put(self, messages: Iterable[Message]) -> None:
        """For who holds the lock: these were shown."""
        self._shown += messages

    def confirm(self, refused: Iterable[str] = ()) -> None:
        """All that was shown has been seen; those that are `refused` come again.
        Within a turn: all that was shown when it began.

        Goes out without being waited for: an ack that is lost only brings the message
        again. Raises `NoSuchMessage` if one was refused that is not on the desk.
        """
        turn = _turn.get()
        with self._shown_lock:
            seen = [m for m in self._shown if turn is None or m in turn.seen]
            there = {message.id: message for message in seen}
            unable = [_taken(there, id_) for id_ in refused]
            self._shown = [m for m in self._shown if m not in seen]
        for message in unable:
            _say(partial(message.nack, reason="its reader could not handle it"))
        for message in there.values():
            _say(message.ack)

    def hold_on(self) -> None:
        """Keep the leases of what was shown: the model thinks."""
        with self._shown_lock:
            shown = [*self._shown]
        for message in shown:
            _say(partial(message.extend, LEASE_S))

    # --- the end -----------------------------------------------------------

    def give_back(self) -> None:
        """What was shown and not confirmed comes again, as seen before."""
        with self._shown_lock:
            shown, self._shown = self._shown, []
        for message in shown:
            _say(partial(message.nack, reason="its reader left"))

    def close(self) -> None:
        """Give back what was shown, and leave."""
        self.give_back()
        self._get_up()

    def _get_up(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _taken(there: dict[str, Message], id_: str) -> Message:
    message = there.pop(id_, None)
    if message is None:
        raise NoSuchMessage(id=id_, where="was shown to you and waits for a word")
    return message


def _say(word: Callable[[], object]) -> None:
    """A connection that has ended settles nothing: the message comes again."""
    with suppress(IpcbusError):
        word()
