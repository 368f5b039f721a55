"""What threads and tasks may ask of a client's socket thread.

They put what they want into deques and wake it if it sleeps; they wait on `Pending`s
and on `Bell`s, never on the socket. Nothing here knows how its caller waits: the two
clients are made of this.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ipcbus.client.compose import compose
from ipcbus.client.ids import Ids
from ipcbus.client.message import BaseMessage, Outgoing, Receipt, Settlement
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Pending
from ipcbus.client.route import Route
from ipcbus.client.tracker import Tracker
from ipcbus.client.worker import Worker
from ipcbus.errors import IpcbusError, NoBroker, TimedOut
from ipcbus.protocol.limits import SEND_WINDOW, SEND_WINDOW_BYTES
from ipcbus.transport.keys import KeyPair


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
        super().__init__(route, keys, Tracker(self._make, program, prefetch))
        self.tracker.calling.network = self.network
        self.last_sending: Sending | None = None
        self.last_settlement: Settlement | None = None
        self._message_type = message_type
        self._ids = Ids()
        self._submitting = threading.Lock()
        self._taken = 0
        self._taken_bytes = 0

    def submit(self, outgoing: Outgoing) -> Sending:
        """Raises what `compose` raises. The caller has seen to `has_room`."""
        draft, body = compose(outgoing, self._ids)
        self.check()
        sending = Sending(draft, body)
        with self._submitting:
            self._taken += 1
            self._taken_bytes += len(body)
            self.tracker.outbox.waiting.append(sending)
            self.last_sending = sending
        self._wake()
        return sending

    def fresh_id(self) -> str:
        return self._ids()

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

    def settle(self, settlement: Settlement) -> Settlement:
        self.check()
        self.tracker.settling.waiting.append(settlement)
        self.last_settlement = settlement
        self._wake()
        return settlement

    def send(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        deadline = None if timeout is None else time.monotonic() + timeout
        self.wait_for_room(timeout)
        sending = self.submit(outgoing)
        left = None if deadline is None else deadline - time.monotonic()
        receipt: Receipt = self.result(sending, left, timeout)
        return receipt

    async def send_async(self, outgoing: Outgoing, timeout: float | None) -> Receipt:
        from ipcbus.client.aio_waits import send  # asyncio is there: a task called this

        return await send(self, outgoing, timeout)

    def wait_for_room(self, timeout: float | None) -> None:
        """Raises `TimedOut` or `NoBroker` when there is none after `timeout`."""
        if self.has_room():
            return
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while not self.has_room():
            left = end - time.monotonic()
            if left <= 0:
                raise self.late("room for another message", timeout)
            self.tracker.outbox.room.sleep(self.has_room, left)

    def result(
        self, pending: Pending[Any], left: float | None, timeout: float | None
    ) -> Any:
        """The result of `pending`. Raises `NoBroker` rather than `TimedOut` if the
        reason is that nobody serves."""
        if not pending.wait(left):
            raise self.late(pending.what, timeout, **pending.facts())
        return pending.result(0)

    def late(self, what: str, timeout: float | None, **facts: Any) -> IpcbusError:
        problem = self.problem
        if problem is not None:
            return NoBroker(network=self.network, reason=str(problem), **facts)
        return TimedOut(what=what, seconds=timeout or 0.0, **facts)

    def _make(self, *fields: Any) -> BaseMessage:
        return self._message_type(self, *fields)
