"""What threads and tasks may ask of a client's socket thread.

They put what they want into deques and wake it if it sleeps; they wait on `Pending`s
and on `Bell`s, never on the socket. Nothing here knows how its caller waits: the two
clients are made of this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ipcbus.client.asking import Options
from ipcbus.client.compose import make, plain
from ipcbus.client.ids import Ids
from ipcbus.client.message import BaseMessage, Outgoing, Pair, Receipt, Settlement
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Pending
from ipcbus.client.route import Route
from ipcbus.client.sayable import end_of
from ipcbus.client.tracker import Tracker
from ipcbus.client.worker import Worker
from ipcbus.errors import IpcbusError, NoBroker, TimedOut
from ipcbus.protocol.limits import SEND_WINDOW, SEND_WINDOW_BYTES
from ipcbus.transport.keys import KeyPair

PIECE = 256
"""Messages of `send_many` that are queued together: enough to make the price of it
small, few enough that the broker works on them while the next are made."""

LEASE_MS = 60_000
"""For one who iterates; what `receive` asks for if nothing else is said."""


class Engine(Worker[Tracker]):
    """Attributes:
    last_sending, last_settlement: when these are done, so are all before them.
    """

    def __init__(
        self,
        route: Route,
        keys: KeyPair,
        message_type: type[BaseMessage],
        *,
        program: str = "",
        prefetch: int = 256,
    ) -> None:
        super().__init__(
            route, keys, Tracker(partial(message_type, self), program, prefetch)
        )
        self.tracker.calling.network = self.network
        self.last_sending: Sending | None = None
        self.last_settlement: Settlement | None = None
        self.fresh_id = Ids().fresh
        # A signal handler that sends may have interrupted one who is about to.
        self._submitting = threading.RLock()
        self._taken = 0
        self._taken_bytes = 0

    # Of these the caller has seen to `has_room`.

    def submit(self, outgoing: Outgoing) -> Sending:
        """Raises what `compose` raises."""
        sending = make(outgoing, self.fresh_id)
        self._queue((sending,), len(sending.body))
        return sending

    def submit_to(self, to: str, body: str | bytes, options: Options) -> Sending:
        """`submit` without an `Outgoing`, if nothing else is said."""
        if options:
            return self.submit(Outgoing(to, body, **options))
        sending = plain(to, body, self.fresh_id)
        self._queue((sending,), len(sending.body))
        return sending

    def submit_some(
        self, messages: Sequence[Outgoing | Pair]
    ) -> list[Sending | IpcbusError]:
        """Those of the first for which there is room, one at least, queued together.
        The error of a wrong one stands in its place."""
        made: list[Sending | IpcbusError] = []
        right: list[Sending] = []
        outbox, size = self.tracker.outbox, 0
        most = SEND_WINDOW - self._taken + outbox.answered
        most_bytes = SEND_WINDOW_BYTES - self._taken_bytes + outbox.answered_bytes
        for outgoing in messages[: max(1, most)]:
            try:
                sending = make(outgoing, self.fresh_id)
            except IpcbusError as error:
                made.append(error)
                continue
            made.append(sending)
            right.append(sending)
            size += len(sending.body)
            if size >= most_bytes:
                break
        self._queue(right, size)
        return made

    def _queue(self, sendings: Sequence[Sending], size: int) -> None:
        self.check()
        with self._submitting:
            self._taken += len(sendings)
            self._taken_bytes += size
            self.tracker.outbox.waiting.extend(sendings)
            if sendings:
                self.last_sending = sendings[-1]
        self._wake()

    def renamed(self, old: str, new: str) -> None:
        """It is called so from now on, if that was this agent."""
        welcome = self.tracker.welcome
        if welcome is not None and welcome.agent == old:
            self.tracker.welcome = welcome._replace(agent=new)

    def has_news(self) -> bool:
        """Whether a reader has something to look at."""
        return bool(self.tracker.intake.buffer) or self.failed is not None

    def has_room(self) -> bool:
        """Whether fewer messages than a window are unanswered."""
        outbox = self.tracker.outbox
        return (
            self._taken - outbox.answered < SEND_WINDOW
            and self._taken_bytes - outbox.answered_bytes < SEND_WINDOW_BYTES
        ) or self.failed is not None

    def look(self, most: int, lease_ms: int, now: float) -> list[BaseMessage]:
        """Up to `most` messages that are there. If none is, more are asked for."""
        intake = self.tracker.intake
        found = intake.take(most, now)
        if found:
            for message in found:
                if message.lease_ms != lease_ms:
                    message.extend(lease_ms / 1000)
            return found
        self.check()
        if intake.wants_more(lease_ms):
            self.post(intake.want, lease_ms)
        return found

    def look_once(self) -> BaseMessage | None:
        """The first message that is there, with the lease of `receive`."""
        message = self.tracker.intake.take_one(time.monotonic())
        if message is not None and message.lease_ms != LEASE_MS:
            message.extend(LEASE_MS / 1000)
        return message

    def settle(self, settlement: Settlement) -> Settlement:
        self.check()
        self.tracker.settling.waiting.append(settlement)
        self.last_settlement = settlement
        self._wake()
        return settlement

    def send(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        end = end_of(timeout)
        self.wait_for_room(end, timeout)
        sending = self.submit(outgoing)
        left = None if timeout is None else end - time.monotonic()
        receipt: Receipt = self.result(sending, left, timeout)
        return receipt

    async def send_async(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        from ipcbus.client.aio_waits import send  # asyncio is there: a task called this

        return await send(self, outgoing, timeout)

    def wait_for_room(self, end: float, timeout: float | None) -> None:
        """Raises `TimedOut` or `NoBroker` when there is none until `end`."""
        while not self.has_room():
            left = end - time.monotonic()
            if left <= 0:
                raise self.late("room for another message", timeout)
            self.tracker.outbox.room.sleep(self.has_room, left)

    def outcome(
        self, made: Sending | IpcbusError, end: float, timeout: float | None
    ) -> Receipt | IpcbusError:
        """The receipt, or why there is none, waited for until `end`."""
        if isinstance(made, IpcbusError):
            return made
        if not made.done() and not made.wait(end - time.monotonic()):
            return self.late(made.what, timeout, **made.facts())
        return made.error() or made.value()

    def result(
        self, pending: Pending[Any], left: float | None, timeout: float | None
    ) -> Any:
        """The result of `pending`. Raises `NoBroker` rather than `TimedOut` if the
        reason is that nobody serves."""
        if not pending.wait(left):
            raise self.late(pending.what, timeout, **pending.facts())
        return pending.result(0)

    def check_served(self) -> None:
        """Raise `NoBroker` if nobody is there to be heard from."""
        problem = self.problem
        if problem is not None:
            raise NoBroker(network=self.network, reason=str(problem))

    def late(self, what: str, timeout: float | None, **facts: Any) -> IpcbusError:
        problem = self.problem
        if problem is not None:
            return NoBroker(network=self.network, reason=str(problem), **facts)
        return TimedOut(what=what, seconds=timeout or 0.0, **facts)


def pieces(messages: Iterable[Outgoing | Pair]) -> Iterator[Sequence[Outgoing | Pair]]:
    """What is there already in pieces, and what comes one after the other as it comes:
    the first must not wait for the second."""
    if not isinstance(messages, (list, tuple)):
        yield from ([outgoing] for outgoing in messages)
        return
    for at in range(0, len(messages), PIECE):
        yield messages[at : at + PIECE]
