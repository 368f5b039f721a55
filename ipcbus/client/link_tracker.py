"""A bridge's side of the conversation at one end of a link. Pure.

Messages pass through in the columns in which they came: what a bridge gets and gives
are batches, and nothing is made of a message but its header.

Nothing outlives a connection but calls. What a bridge held when it lost its session
comes again from the egress mailbox, and what it had handed over is known there by its
id; so a bridge that starts anew at each connection loses nothing and repeats nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ipcbus.client.calling import Asked, Calling
from ipcbus.client.conversation import Conversation
from ipcbus.errors import IpcbusError, from_wire
from ipcbus.protocol.codec import Frames, decode_broker, encode
from ipcbus.protocol.messages import (
    Accepted,
    Answer,
    Bye,
    Closed,
    Credit,
    Deliver,
    Pong,
    RefusedCall,
    Return,
    Settled,
    Welcome,
    Xfer,
)


class Up(NamedTuple):
    """This end is connected, to this network; nothing is held."""

    welcome: Welcome


class Down(NamedTuple):
    """It is not any more, and will try again. All that was asked of it is void."""

    reason: str


class Ended(NamedTuple):
    """It will not try again: the other side wants no more of it."""

    error: IpcbusError


class Delivered(NamedTuple):
    """Messages to carry."""

    deliver: Deliver


class Verdicts(NamedTuple):
    """Of what was handed over as `ref`: `accepted` for all but the exceptions."""

    ref: int
    exceptions: list[list[Any]]


class Taken(NamedTuple):
    """What was settled as `ref` is committed: what comes now came after it."""

    ref: int


class Unwanted(NamedTuple):
    """A credit, a hand-over or a return was refused as a whole."""

    ref: int
    error: IpcbusError


End = Up | Down | Ended | Delivered | Verdicts | Taken | Unwanted
"""What an end of a link tells."""

Said = Xfer | Return | Credit


class LinkTracker(Conversation):
    """`tell` is called on the socket's thread."""

    def __init__(self, tell: Callable[[End], None], program: str) -> None:
        super().__init__(program)
        self.calling = Calling()
        self.waiting: deque[Said] = deque()
        self._tell = tell
        self._flying: dict[int, Said] = {}
        self._bye = False

    def lost(self) -> None:
        super().lost()
        self.calling.lost()
        self.waiting.clear()
        self._flying.clear()

    def fail(self, error: IpcbusError) -> None:
        super().fail(error)
        self.lost()
        self.calling.fail(error)

    def leave(self, *, keep_leases: bool) -> None:
        self._bye = True

    # --- the broker speaks -----------------------------------------------------

    def heard(self, head: bytes, body: bytes, now: float) -> None:
        self._heard = True
        message = decode_broker(head, body)
        match message:
            case Deliver():
                self._tell(Delivered(message))
            case Accepted(ref, exceptions):
                said = self._flying.pop(ref, None)
                if said is not None:
                    self._tell(Verdicts(said.ref, exceptions))
            case Settled(ref, _):
                said = self._flying.pop(ref, None)
                if said is not None:
                    self._tell(Taken(said.ref))
            case Answer():
                if self._flying.pop(message.ref, None) is None:
                    self.calling.answered(message)
            case RefusedCall(ref, code, facts):
                self._refused(ref, from_wire(code, facts))
            case Welcome():
                self._welcomed(message, now)
                self.calling.network = message.network
                self._tell(Up(message))
            case Closed():
                self._closed(message, now)
            case Pong():
                self._pong(message, now)

    def _refused(self, ref: int, error: IpcbusError) -> None:
        said = self._flying.pop(ref, None)
        if said is not None:
            self._tell(Unwanted(said.ref, error))
        elif not self.calling.refused(ref, error):
            raise error

    # --- this side speaks --------------------------------------------------------

    def _speak(self, most_sends: int | None) -> Iterator[Frames]:
        waiting = self.waiting
        minor = self.welcome.minor if self.welcome else 0
        while waiting:
            said = waiting.popleft()
            ref = self._next_ref()
            self._flying[ref] = said
            yield encode(said._replace(ref=ref), minor)
        yield from self.calling.said(self._next_ref)
        if self._bye and not self.is_busy():
            self._bye, self.left = False, True
            yield encode(Bye(keep_leases=False))

    def call(self, asked: Asked) -> None:
        self.calling.call(asked)

    def can_say(self) -> bool:
        return self.greeted and bool(self.waiting)

    def has_work(self) -> bool:
        return False  # a network that was stopped stays so, whatever bridges wish

    def is_busy(self) -> bool:
        return bool(self.waiting or self._flying)
