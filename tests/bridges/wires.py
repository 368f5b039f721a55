"""One direction of a bridge on queues: its two connections, and the `Link` between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ipcbus import links
from ipcbus.broker.events import Action, Event, PeerLost, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.client.calling import Asked
from ipcbus.client.link_tracker import LinkTracker, Said
from ipcbus.errors import (
    Fenced,
    IdentityChanged,
    IpcbusError,
    NotPermitted,
    from_wire,
)
from ipcbus.protocol.codec import Frames, decode_client
from ipcbus.protocol.limits import MAX_CREDIT_BYTES
from ipcbus.protocol.messages import (
    Answer,
    Call,
    Credit,
    Ping,
    RefusedCall,
    Return,
    Xfer,
)
from ipcbus.protocol.pieces import pack_map
from ipcbus.store.base import Store
from ipcbus_bridges import actions
from ipcbus_bridges.attachments import Brought, Fetches, bring
from ipcbus_bridges.link import Link
from ipcbus_bridges.moving import Item, Moving
from ipcbus_bridges.rules import Rules
from tests.broker.harness import OPERATOR, OPERATOR_KEY, Harness, key_of, only


class Sleeper(NamedTuple):
    """A broker that was stopped when another took over, and does not know of it.

    Attributes:
        unread: what had been said to it.
    """

    broker: Broker
    store: Store
    unread: list[Received]


def _is_credit(event: Event) -> bool:
    return isinstance(event, Received) and isinstance(event.message, Credit)


class Net(Harness):
    """One network; what its broker is told and does is told to `hear` as well.

    Attributes:
        agents: who is connected, each by one session of its name.
        sleepers: former brokers that may wake up.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        make: Callable[[], Store],
        reopen: Callable[[Store], Store],
        share: Callable[[Store], Store],
        hear: Callable[[Net, Sequence[Event], list[Action]], None],
    ) -> None:
        self.agents: list[str] = []
        self.sleepers: list[Sleeper] = []
        self._hear = hear
        self._share = share
        super().__init__(settings, make, reopen, network=name)

    def turn(self, *events: Event) -> list[Action]:
        done = super().turn(*events)
        self._hear(self, events, done)
        return done

    def restart(self) -> None:
        """Another broker takes over; the agents come back."""
        super().restart()
        self._greet()

    def usurp(self, unread: Sequence[Received]) -> None:
        """Another broker takes over while this one is stopped."""
        self.sleepers.append(Sleeper(self.broker, self.store, [*unread]))
        self.store = self._share(self.store)
        self._open()
        self._greet()

    def wake(self, sleeper: Sleeper, *events: Event) -> list[Action] | None:
        """A former broker goes on as if nothing had happened. None if it learns that it
        is none any more; then it says nothing, to nobody, ever again.

        It learns so when it writes, or trips before that over what the other has done,
        for it reads what is there now; whatever it raises, its process ends by that.
        """
        sleeper.store.begin()
        try:
            done = sleeper.broker.handle(events, self.now)
            sleeper.store.commit()
        except (Fenced, AssertionError, LookupError):
            sleeper.store.rollback()
            self.sleepers.remove(sleeper)
            return None
        # What a session allows the broker of now is not what it has said to this one.
        heard = [event for event in events if not _is_credit(event)]
        self._hear(self, heard, done)
        return done

    def _greet(self) -> None:
        for name in (OPERATOR.decode(), *self.agents):
            self.hello(name.encode())

    def pass_by(self, seconds: float, *pinging: tuple[bytes, str]) -> None:
        """Time goes by, in which agents and `pinging` have said that they are there."""
        self.mono += seconds
        self.wall += round(seconds * 1000)
        there = [(name.encode(), key_of(name)) for name in self.agents]
        people = [(OPERATOR, OPERATOR_KEY), *there]
        self.turn(*(Received(*who, Ping(1)) for who in (*people, *pinging)))


class End:
    """One connection of a link: what `LinkRunner` knows as a `NetworkEnd`.

    Attributes:
        up, down: frames on their way to the broker, and to the link.
        peer: of the present connection; None while there is none.
        cut: it cannot connect.
        refused: its broker wants no more of it; it asks again when time has passed.
        held_up, held_down: nothing moves that way by itself.
    """

    def __init__(self, net: Net, wire: Wire, peer: str) -> None:
        self.network = net.network
        self.net = net
        self.key = key_of(f"@{peer}")
        self.up: deque[Frames] = deque()
        self.down: deque[Frames] = deque()
        self.peer: bytes | None = None
        self.cut = self.refused = self.held_up = self.held_down = False
        self._wire = wire
        self._connections = 0
        self._tracker = LinkTracker(lambda event: wire.told(self, event), "cluster")

    @property
    def network_id(self) -> str:
        welcome = self._tracker.welcome
        return welcome.network_id if welcome else ""

    def connect(self) -> None:
        self._connections += 1
        self.peer = f"{self._wire.name}@{self.network}/{self._connections}".encode()
        self._tracker.opened(self.net.mono)
        self.speak()

    def speak(self) -> None:
        """Put on the way what was said."""
        if self.peer is not None:
            self.up.extend(self._tracker.say())

    def arrive(self) -> None:
        """Let the broker hear one frame."""
        peer, frames = self.peer, self.up.popleft()
        assert peer is not None
        self.net.turn(Received(peer, self.key, decode_client(*frames)))

    def hear(self) -> None:
        """Let the link hear one frame."""
        try:
            self._tracker.heard(*self.down.popleft(), self.net.mono)
        except IpcbusError as error:
            self.refused = isinstance(error, NotPermitted)
            self.lose(str(error), told=False)
        self._wire.tick()

    def lose(self, reason: str = "cut", *, told: bool = True) -> None:
        """The connection breaks with all that is under way. `told`: so finds the
        broker; else it waits until it misses the pings."""
        self.up.clear()
        self.down.clear()
        peer, self.peer = self.peer, None
        if peer is None:
            return
        self._tracker.lost()
        if told:
            self.net.turn(PeerLost(peer))
        self._wire.lost(self, reason)

    # --- what a link does with it ----------------------------------------------------

    def say(self, said: Said) -> None:
        if self._tracker.greeted:
            self._tracker.waiting.append(said)
            self.speak()

    def call(self, name: str, *args: Any, said: Any = None) -> Asked:
        asked = Asked(name, args, b"" if said is None else pack_map(said))
        self._tracker.call(asked)
        self.speak()
        return asked

    def ask(self, name: str, *args: Any, body: bytes = b"") -> tuple[Any, bytes]:
        """A call that is answered at once."""
        assert self.peer is not None
        call = Call(1 << 40, name, [*args], body)
        (said,) = self.net.say(self.peer, call, self.key)
        if isinstance(said, Say) and isinstance(said.message, RefusedCall):
            self.down.pop()  # the tracker knows nothing of this call
            raise from_wire(said.message.code, said.message.facts)
        answer = only([said], Answer)
        return answer.value, answer.body


class Wire:
    """One direction of a bridge, driven as `LinkRunner` drives it.

    Attributes:
        frozen: it is stopped; what it has said may still arrive.
        reloads: how often its owner wanted the rules to be read again.
        handed: ids of what it handed over, each time.
    """

    def __init__(
        self,
        name: str,
        source: Net,
        destination: Net,
        rules: Rules,
        watch: Callable[[Wire, Any], None] = lambda wire, action: None,
    ) -> None:
        self.name, self.rules = name, rules
        self.one_way = rules.link(source.network, destination.network)
        self.link = Link(self.one_way, rules.terms, Moving({"file": "test"}))
        self.source = End(source, self, destination.network)
        self.destination = End(destination, self, source.network)
        self.ends = (self.source, self.destination)
        self._fetches = Fetches(self._bring, self._fetched)
        self.frozen = False
        self.reloads = 0
        self.handed: list[str] = []
        self._seen: int | None = None
        self._watch = watch

    @property
    def state(self) -> str:
        return self.link.state

    @property
    def now(self) -> int:
        return self.source.net.wall

    def connect(self) -> None:
        for end in self.ends:
            gone = end.cut or end.refused or self.frozen
            if end.peer is None and not gone:
                end.connect()

    def reload(self, rules: Rules) -> None:
        self.rules = rules
        self.one_way = rules.link(self.link.source, self.link.destination)
        self.link.reload(self.one_way, rules.terms, self.now)
        self.act()

    def tick(self) -> None:
        """Time has passed, or something was heard."""
        if not self.frozen:
            self.link.tick(self.now)
            self.act()

    def cut(self, *ends: End, told: bool = True) -> None:
        """Both connections, or one, until `heal`."""
        for end in ends or self.ends:
            end.cut = True
            end.lose(told=told)

    def heal(self) -> None:
        for end in self.ends:
            end.cut = end.held_up = end.held_down = False
        self.frozen = False
        self.connect()

    # --- events and actions ----------------------------------------------------------

    def told(self, end: End, event: links.End) -> None:
        link, now = self.link, self.now
        match event:
            case links.Delivered(deliver):
                self._watch(self, deliver)
                link.delivered(*deliver, now)
            case links.Verdicts(ref, exceptions):
                link.verdicts(ref, exceptions, now)
            case links.Up():
                link.up(end.network, now)
            case links.Taken(ref):
                link.taken(ref)
            case links.Unwanted(_, error):
                link.unwanted(str(error), now)

    def lost(self, end: End, reason: str) -> None:
        self.link.down(end.network, reason, self.now)
        self.act()

    def act(self) -> None:
        done, self.link.actions = self.link.actions, []
        for action in done:
            self._watch(self, action)
            self._do(action)

    def _do(self, action: Any) -> None:
        source, destination = self.source, self.destination
        match action:
            case actions.HandOver(ref, epoch, moves, bodies):
                self.handed += [move.id for move in moves]
                destination.say(Xfer(ref, epoch, moves, bodies))
            case actions.Settle(ref, groups):
                source.say(Return(ref, groups))
            case actions.Credit(messages, size):
                size = min(size, MAX_CREDIT_BYTES)
                source.say(Credit(0, messages, size, links.LEASE_MS))
            case actions.Meet():
                first = source.call("meet", destination.network_id)
                self._then(first, lambda _: self._meet_there())
            case actions.Lead(terms):
                self._then(source.call("lead", said=terms), self._led)
            case actions.Report(said):
                out = source.call("report", said={**said, "way": "out"})
                self._then(out, self._reported)
                destination.call("report", said={**said, "way": "in"})
            case actions.Fetch(item):
                self._fetches.want(item)
                self._fetches.begin(self.link.awaits)

    def _bring(self, sha256: str, size: int) -> None:
        ends = self.source, self.destination
        self._fetches.ended(sha256, bring(*ends, sha256, size))  # type: ignore[arg-type]

    def _fetched(self, item: Item, brought: Brought) -> None:
        self.link.fetched(item, brought.problem, self.now, later=brought.later)
        self.act()

    def _then(self, asked: Asked, answered: Callable[[Any], None]) -> None:
        def done(asked: Asked) -> None:
            error = asked.error()
            if error is None:
                answered(asked.value()[0])
                return
            changed = isinstance(error, IdentityChanged)
            state = "identity_changed" if changed else "config_error"
            self.link.refused(state, str(error), self.now)

        asked.add_done_callback(done)

    def _meet_there(self) -> None:
        met = self.destination.call("meet", self.source.network_id)
        self._then(met, lambda value: self.link.met(int(value[0]), self.now))

    def _led(self, value: Any) -> None:
        leading, epoch, paused = value
        self.link.led(leading, epoch, paused, self.now)

    def _reported(self, value: Any) -> None:
        leading, paused, reloads = value
        self.link.reported(leading, paused, self.now)
        self.reloads += self._seen not in (None, reloads)
        self._seen = reloads
