"""The loop around the core: poll, read, decide, commit, speak.

Each turn takes what has arrived, within bounds, hands it to the core inside one
transaction of the store, and carries out what the core answers once the commit is
safe. So one fsync pays for a whole batch, and nothing is said that a power cut could
take back.

Acks ride: a turn that has only acks to confirm leaves its transaction open for RIDE_S,
so that the next turn's commit does for both. Nobody waits for that answer but one who
leaves, and with one message at a time it halves the number of syncs that a sender has
to wait for (confirmed after 1.0 instead of 1.5 ms, on a disk that syncs in 0.7).

When a turn fails:

    StoreFull     out of room in spite of all: the turn is void. The broker takes
                  over from itself: the store is opened again (a new epoch), a new
                  core is made from it, and all sessions are told CLOSED, so that
                  clients come back and send again what was not accepted. A second
                  time within a minute ends the process.
    StoreFailed   the disk failed, and "commit failed" does not mean "not stored":
    Fenced        stop at once and say nothing to anyone. The next broker reads what
                  there is, and clients send again what was not answered.
    MemoryError   the same; `serve` says so when the memory is free again.
    anything else is a bug, and treated in the same way: memory may be wrong.

The collector of cycles is off in the loop: the turns make many objects and no cycles,
and looking for them costs 7 to 26 % of the throughput. `upkeep` runs it when idle.
"""

from __future__ import annotations

import gc
import logging
import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

import zmq

from ipcbus.broker.events import (
    Action,
    Admit,
    Backup,
    Event,
    Expel,
    Hand,
    Log,
    Now,
    PeerLost,
    Say,
    Stop,
)
from ipcbus.errors import Disconnected, IpcbusError, StoreFailed, StoreFull
from ipcbus.protocol.messages import Closed, Pong, Settled
from ipcbus.store.base import Store
from ipcbus.transport.clock import Clock
from ipcbus.transport.outbox import RETRY_S
from ipcbus.transport.sockets import Sockets
from ipcbus.transport.upkeep import Backups, Upkeep
from ipcbus.transport.wake import Waker

LONGEST_S: Final = 60.0
"""Seconds the loop sleeps at most."""

RIDE_S: Final = 0.001
"""Seconds that acks wait for another turn to commit them: a sync or a few."""

FULL_AGAIN_S: Final = 60.0
"""Seconds within which a second start over would only be the first of many."""

_log = logging.getLogger("ipcbus.broker")


class Core(Protocol):
    """What the loop needs of `broker.state.Broker`."""

    def handle(self, events: Sequence[Event], now: Now) -> list[Action]: ...

    def next_deadline(self, now: Now) -> float | None: ...

    def admitted(self, wall: int) -> set[str]: ...


class Life(NamedTuple):
    """What one epoch has: all of it is made anew at a takeover."""

    epoch: int
    store: Store
    core: Core
    clock: Clock
    history_ms: int


class Runner:
    """One broker's loop.

    Args:
        begin: opens the store and makes a life from it; called here only to start
            over.
        began: told of the life that followed.
    """

    def __init__(
        self,
        network: str,
        sockets: Sockets,
        waker: Waker,
        life: Life,
        begin: Callable[[], Life],
        began: Callable[[Life], None] = lambda life: None,
    ) -> None:
        self._network = network
        self._sockets = sockets
        self._waker = waker
        self._begin = begin
        self._began = began
        self._more = False  # the inbox was not read to its end
        self._stopping = False
        self._full_at = -math.inf
        self._poller = zmq.Poller()
        for pollable in (sockets.front.socket, sockets.gate.socket):
            self._poller.register(pollable, zmq.POLLIN)
        self._poller.register(sockets.watch.socket, zmq.POLLIN)
        self._poller.register(waker.fileno(), zmq.POLLIN)
        self._live(life)

    def run(self) -> None:
        """Serve until told to stop. Raises what ended it otherwise; then the store
        must not be touched any more."""
        with _no_collector():
            while not self._stopping:
                self._step()
        self._finish()
        self._farewell("the broker has stopped")
        self._life.store.close()

    def _live(self, life: Life) -> None:
        self._life = life
        self._due = 0.0  # when the core wants to be called although nothing happened
        self._unsaid: list[Action] = []  # of the transaction that is open
        self._ride_until: float | None = None  # set while a transaction is open
        self._upkeep = Upkeep(life.store, life.history_ms)
        self._backups = Backups(life.store)
        self._sockets.gate.reset(life.core.admitted(life.clock.now().wall))

    def _step(self) -> None:
        """One round, and what its failure means."""
        try:
            self._round()
        except (IpcbusError, MemoryError):
            raise
        except Exception as error:
            _log_bug(error)
            reason = f"a bug stopped the broker ({type(error).__name__}); see its log"
            raise IpcbusError(reason=reason) from error

    def _round(self) -> None:
        """Sleep, read, turn."""
        events = self._gather()
        now = self._life.clock.now()
        try:
            if events or now.mono >= self._due:
                self._turn(events, now)
            if self._ride_until is None or now.mono >= self._ride_until:
                self._finish()
                self._upkeep.step(now)
        except StoreFull as error:
            self._start_over(error)
        self._sockets.outbox.retry()
        self._sockets.watch.tick(now.mono)

    def _gather(self) -> list[Event]:
        """Sleep until there is something to do, and read it."""
        gate, watch, inbox = (
            self._sockets.gate,
            self._sockets.watch,
            self._sockets.inbox,
        )
        ready = dict(self._poller.poll(self._sleep_ms()))
        if self._waker.fileno() in ready and self._waker.asked():
            self._stopping = True
            return []
        if gate.socket in ready:
            gate.serve()
        if watch.socket in ready:
            watch.read()
        events: list[Event] = []
        if self._sockets.front.socket in ready or self._more or watch.gone:
            self._more = not inbox.read(events)
        events += self._losses()
        if self._backups:
            events += self._backups.step()
        return events

    def _losses(self) -> list[Event]:
        """Peers that are gone. Those that left are reported once all that they have
        said is read: their last acks count."""
        watch, outbox = self._sockets.watch, self._sockets.outbox
        gone = outbox.lost
        outbox.lost = {}
        if not self._more and watch.gone:
            gone |= dict.fromkeys(watch.take_gone())
        for peer in gone:
            outbox.forget(peer)
        return [PeerLost(peer) for peer in gone]

    def _sleep_ms(self) -> int:
        watch, outbox = self._sockets.watch, self._sockets.outbox
        if self._more or watch.gone or outbox.lost or self._backups:
            return 0
        mono = self._life.clock.now().mono
        wait = min(self._due - mono, self._upkeep.wait(mono), LONGEST_S)
        tick = watch.wait(mono)
        if tick is not None:
            wait = min(wait, tick)
        if outbox.has_slow:
            wait = min(wait, RETRY_S)
        if self._ride_until is not None:
            wait = min(wait, self._ride_until - mono)
        return max(0, math.ceil(wait * 1000))

    def _turn(self, events: Sequence[Event], now: Now) -> None:
        """Decide; `_finish` commits, then speaks."""
        core = self._life.core
        if self._ride_until is None:
            self._life.store.begin()
            self._ride_until = now.mono + RIDE_S
        actions = core.handle(events, now)
        self._unsaid += actions
        # A backup in the middle of a transaction would copy what may be undone.
        if self._backups or not _may_ride(actions):
            self._ride_until = now.mono
        left = core.next_deadline(now)
        self._due = math.inf if left is None else now.mono + left
        if events:
            self._upkeep.touch(now.mono)

    def _finish(self) -> None:
        """Commit what is open, and say what was decided in it."""
        if self._ride_until is None:
            return
        self._life.store.commit()
        self._ride_until = None
        actions, self._unsaid = self._unsaid, []
        say, hand = self._sockets.outbox.say, self._sockets.outbox.hand
        for action in actions:
            kind = type(action)
            if kind is Say:
                say(*action)
            elif kind is Hand:
                hand(action)  # type: ignore[arg-type]
            else:
                self._do(action)

    def _do(self, action: Action) -> None:
        """The actions that are rare."""
        match action:
            case Admit(key):
                self._sockets.gate.admit(key)
            case Expel(key, reason):
                _log.info("key %.8s... may not connect any more: %s", key, reason)
                self._sockets.gate.expel(key)
                self._sockets.watch.doom_key(key, reason)
            case Backup():
                self._backups.start(action)
            case Stop():
                self._stopping = True
            case Log(text):
                _log.warning("%s", text)

    def _start_over(self, error: StoreFull) -> None:
        """Take over from ourselves. Raises `StoreFailed` if that did not help."""
        now = self._life.clock.now()
        if now.mono - self._full_at < FULL_AGAIN_S:
            raise StoreFailed(reason=f"no room, again and again ({error})") from error
        self._full_at = now.mono
        _log.error("starting over: %s", error)
        self._life.store.rollback()
        self._life.store.close()
        self._farewell(
            "the broker had to start over; what was not accepted comes again"
        )
        life = self._begin()
        self._live(life)
        self._began(life)

    def _farewell(self, reason: str) -> None:
        code, facts = Disconnected(network=self._network, reason=reason).to_wire()
        for peer in list(self._sockets.watch.known):
            self._sockets.outbox.say(peer, Closed(code, facts))


def _may_ride(actions: Sequence[Action]) -> bool:
    """Whether nobody waits for any of these: confirmed acks, and pongs beside them."""
    settled = False
    for action in actions:
        if type(action) is not Say:
            return False
        kind = type(action.message)
        if kind is Settled:
            settled = True
        elif kind is not Pong:
            return False
    return settled


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _log_bug(error: Exception) -> None:
    """Where it happened, but no values: they may be bodies or secrets."""
    lines = traceback.format_tb(error.__traceback__)
    _log.critical("a bug: %s\n%s", type(error).__name__, "".join(lines))
