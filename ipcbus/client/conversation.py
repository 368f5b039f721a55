"""What every client says, whatever else it says: HELLO, PING, BYE. Pure.

    opened(now)            a connection is there: HELLO
    heard(head, body, now) a message of the broker
    tick(now)              time has passed; `wake_at` says when to call it next
    say()                  the frames to send now, in order
    lost()                 the connection is gone; a later `opened` takes up the thread
    fail(error)            there will be no other: all who wait are told

`heard` and `tick` raise when this connection is over, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipcbus.errors import (
    Disconnected,
    IpcbusError,
    RemoteProtocolError,
    VersionMismatch,
    from_wire,
)
from ipcbus.protocol.codec import Frames, encode
from ipcbus.protocol.limits import MAJOR, MINOR, PING_S, PINGS_MISSED
from ipcbus.protocol.messages import Closed, Hello, Ping, Pong, Welcome


class Conversation:
    """Attributes:
    greeted: the broker has welcomed this connection.
    welcome: its last WELCOME; None before the first.
    left: BYE was said.
    """

    def __init__(self, program: str) -> None:
        self.greeted = False
        self.left = False
        self.welcome: Welcome | None = None
        self._program = program
        self._ref = 0
        self._pings = 0
        self._silent = 0
        self._heard = False
        self._said = False
        self._ping_at = float("inf")
        self._first: list[Frames] = []

    # --- a connection begins and ends --------------------------------------

    def opened(self, now: float) -> None:
        epoch = self.welcome.epoch if self.welcome else 0
        self._first = [encode(Hello(MAJOR, MINOR, epoch, self._program))]
        self._heard, self._silent = False, 0
        self._ping_at = now + PING_S

    def lost(self) -> None:
        self.greeted = False
        self._first = []
        self._ping_at = float("inf")

    def fail(self, error: IpcbusError) -> None:
        self.greeted = False

    # --- the broker speaks -------------------------------------------------

    def _welcomed(self, welcome: Welcome, now: float) -> None:
        if welcome.major != MAJOR:
            raise VersionMismatch(
                theirs=f"{welcome.major}.{welcome.minor}", ours=f"{MAJOR}.{MINOR}"
            )
        self.welcome = welcome
        self.greeted = True

    def _closed(self, closed: Closed, now: float) -> None:
        raise from_wire(closed.code, closed.facts)

    def _pong(self, pong: Pong, now: float) -> None:
        if self.welcome is not None and pong.epoch != self.welcome.epoch:
            # Cannot be: a new broker has new sockets, and this one would be dead.
            raise RemoteProtocolError(reason="the epoch changed within a connection")

    # --- this side speaks --------------------------------------------------

    def say(self, most_sends: int | None = None) -> Iterator[Frames]:
        """Everything that can be said now. `most_sends` of those that wait are
        looked at: the ones that were there when the caller last looked elsewhere."""
        first, self._first = self._first, []
        yield from first
        if self.greeted:
            for frames in self._speak(most_sends):
                self._said = True
                yield frames

    # What kinds of clients differ in.

    def heard(self, head: bytes, body: bytes, now: float) -> None:
        raise NotImplementedError

    def _speak(self, most_sends: int | None) -> Iterator[Frames]:
        raise NotImplementedError

    def leave(self, *, keep_leases: bool) -> None:
        """Say BYE as soon as everything else is said and answered."""
        raise NotImplementedError

    def sends_waiting(self) -> int:
        """How many `say` could look at now."""
        return 0

    def can_say(self) -> bool:
        """Whether `say` would find something new, put there by another thread."""
        raise NotImplementedError

    def has_work(self) -> bool:
        """Whether somebody waits for something that a broker must do first."""
        raise NotImplementedError

    def is_busy(self) -> bool:
        """Whether something that was said is unanswered."""
        raise NotImplementedError

    def _next_ref(self) -> int:
        self._ref += 1
        return self._ref

    # --- time --------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Raises `Disconnected` when the broker has been silent for too long."""
        if now < self._ping_at:
            return
        self._ping_at = now + PING_S
        # Counted in intervals that this process lived through, not by the clock: one
        # that was stopped for an hour finds the answers of its broker waiting.
        self._silent = 0 if self._heard else self._silent + 1
        if self._silent >= PINGS_MISSED:
            network = self.welcome.network if self.welcome else "the network"
            reason = f"it was silent for {PING_S * PINGS_MISSED:g} s"
            raise Disconnected(network=network, reason=reason)
        if self.greeted and not (self._heard and self._said):
            self._pings += 1
            self._first.append(encode(Ping(self._pings)))
        self._heard = self._said = False

    def wake_at(self) -> float:
        return self._ping_at
