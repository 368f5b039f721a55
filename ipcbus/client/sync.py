"""The client for threads. Every method may be called from any of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, cast

from ipcbus.client import asking
from ipcbus.client.asking import Options
from ipcbus.client.calling import Asked, Awaited
from ipcbus.client.engine import Engine, pieces
from ipcbus.client.message import Attachment, Message, Outgoing, Pair, Receipt
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Pending
from ipcbus.client.questions import Questions
from ipcbus.client.sayable import end_of, lease_ms, whole
from ipcbus.client.words import Renamed
from ipcbus.errors import IpcbusError, NotPermitted
from ipcbus.protocol.limits import MAX_UINT

CLOSE_S = 1.0
"""How long `close` waits for answers; a process must be able to end."""


class Client(Questions):
    """One agent's connection to a network, made by `ipcbus.connect`.

    Nothing is lost when the broker dies or is replaced: the client connects anew and
    says again what was not answered. A method that must wait longer than its
    `timeout` raises `TimedOut`, or `NoBroker` if nobody serves. After `close` every
    method raises `Disconnected`.
    """

    def __init__(self, engine: Engine, agent: str | None) -> None:
        self._engine = engine
        self._agent = agent

    # --- sending -----------------------------------------------------------

    def send(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float | None = 30.0,
        **options: Unpack[Options],
    ) -> Receipt:
        """Send a message and wait until the broker has stored it.

        Raises `UnknownRecipient`, `Refused` and its kin, `InvalidMessage`,
        `InvalidAddress`; `TimedOut` or `NoBroker` with the `id`: then the message may
        be stored yet, and sending it again with that id is safe.
        """
        return self._engine.send(Outgoing(to, body, **options), timeout)

    def submit(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Pending[Receipt]:
        """Send without waiting: `.result(timeout)` gives the receipt or raises.

        Waits only while a whole window of messages (4,096, or 8 MiB) is unanswered.
        """
        engine = self._engine
        if not engine.has_room():
            engine.wait_for_room(end_of(timeout), timeout)
        return engine.submit_to(to, body, options)

    def send_many(
        self, messages: Iterable[Outgoing | Pair], *, timeout: float | None = 30.0
    ) -> list[Receipt | IpcbusError]:
        """Send all of them, many at once; an address and a body are a message too.

        One bad message does not stop the others: its error stands in its place. What a
        generator yields is sent as it comes.
        """
        engine, end = self._engine, end_of(timeout)
        under_way: list[Sending | IpcbusError] = []
        for some in pieces(messages):
            while some:
                engine.check()
                try:
                    engine.wait_for_room(end, timeout)
                    made = engine.submit_some(some)
                except IpcbusError as error:
                    made = [error]
                under_way += made
                some = some[len(made) :]
        return [engine.outcome(one, end, timeout) for one in under_way]

    def ask(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float = 60.0,
        ack: bool = True,
        **options: Unpack[Options],
    ) -> Message:
        """Send a request and wait for its reply, which is acked unless `ack` is off.

        Raises what `send` raises; `Bounced` if the request comes back; `TimedOut` with
        its `id`, with which `wait_reply` goes on waiting.
        """
        engine = self._engine
        outgoing, id_ = asking.question(to, body, options, engine.fresh_id())
        deadline = end_of(timeout)
        # Before the request, so that the reply has nowhere else to go.
        awaited = self._await(id_)
        try:
            engine.send(outgoing, timeout)
            return self._reply(awaited, deadline, timeout, ack=ack)
        finally:
            self._stop_waiting(awaited)

    def wait_reply(
        self, id_: str, *, timeout: float = 60.0, ack: bool = True
    ) -> Message:
        """Wait for the reply to a message that was sent before, as `ask` does."""
        deadline = end_of(timeout)
        awaited = self._await(id_)
        try:
            return self._reply(awaited, deadline, timeout, ack=ack)
        finally:
            self._stop_waiting(awaited)

    def _await(self, id_: str) -> Awaited:
        awaited = Awaited(id_)
        self._engine.post(self._engine.tracker.wait_for, awaited)
        return awaited

    def _reply(
        self, awaited: Awaited, deadline: float, timeout: float, *, ack: bool
    ) -> Message:
        left = deadline - time.monotonic()
        message = self._engine.result(awaited, left, timeout)
        awaited.taken = True
        return cast(Message, asking.reply_from(message, ack=ack))

    def _stop_waiting(self, awaited: Awaited) -> None:
        if not awaited.taken and self._engine.failed is None:
            self._engine.post(self._engine.tracker.give_up, awaited)

    # --- receiving ---------------------------------------------------------

    def receive(
        self,
        max: int = 1,  # noqa: A002 - the word of the API
        timeout: float | None = None,
        lease: float = 60.0,
    ) -> list[Message]:
        """Up to `max` messages, as soon as there is one; [] after `timeout` seconds.

        Each is leased for `lease` seconds from about now, in which it must be acked,
        nacked or extended, or it comes again. The client prefetches; what it has and
        is not asked for in half a lease it gives back.
        """
        engine = self._reading()
        whole("max", max, 1, MAX_UINT)
        ms, end = lease_ms(lease), end_of(timeout)
        while True:
            now = time.monotonic()
            found = engine.look(max, ms, now)
            if found:
                return cast(list[Message], found)
            if now >= end:
                engine.check_served()
                return []
            engine.tracker.intake.arrived.sleep(engine.has_news, end - now)

    def __iter__(self) -> Iterator[Message]:
        """Messages as they come, until the client is closed."""
        engine = self._engine
        message: Any
        while not engine.is_closed():
            try:
                message = engine.look_once() or self.receive()[0]
            except IpcbusError:
                if engine.is_closed():
                    return
                raise
            yield message

    def fetch(
        self,
        max: int = 1,  # noqa: A002
        max_bytes: int | None = None,
        *,
        lease: float = 60.0,
        timeout: float = 0.0,
    ) -> tuple[list[Message], int]:
        """At most `max` messages and about `max_bytes` (but one of any size), and how
        many others wait. Nothing is prefetched.

        With a `timeout`, wait so long for the first if none is there.
        """
        engine = self._reading()
        fetch = asking.new_fetch(max, max_bytes, lease, timeout)
        engine.post(engine.tracker.intake.fetch, fetch)
        most = asking.fetch_s(timeout)
        try:
            found = engine.result(fetch, most, most)
        except BaseException:
            if engine.failed is None:
                engine.post(engine.tracker.intake.cancel, fetch)
            raise
        return cast(tuple[list[Message], int], found)

    def _reading(self) -> Engine:
        self._engine.check()
        if self._agent is None:
            raise NotPermitted(reason="an operator has no mailbox; connect as an agent")
        return self._engine

    # --- asking the broker -------------------------------------------------

    def call(
        self, name: str, *args: Any, body: bytes = b"", timeout: float = 30.0
    ) -> tuple[Any, bytes]:
        """Make a call of the protocol by its name; the value and body of its answer."""
        end = end_of(timeout)
        asked = self.start_call(name, *args, body=body)
        left = end - time.monotonic()
        return cast(tuple[Any, bytes], self._engine.result(asked, left, timeout))

    def start_call(
        self, name: str, *args: Any, body: bytes = b""
    ) -> Pending[tuple[Any, bytes]]:
        """Make a call without waiting for its answer."""
        asked = Asked(name, args, body)
        self._engine.post(self._engine.tracker.calling.call, asked)
        return asked

    # --- attachments -------------------------------------------------------

    def upload(
        self, source: str | Path | bytes, name: str | None = None, **options: Any
    ) -> Attachment:
        """Store a file or bytes at the broker, to be sent along by `attach`."""
        from ipcbus.client import attachments

        return attachments.upload(self, source, name, **options)

    def download(
        self, attachment: Attachment, path: str | Path, **options: Any
    ) -> Path:
        """Fetch an attachment into a file, which gets its name once it is verified."""
        from ipcbus.client import attachments

        return attachments.download(self, attachment, path, **options)

    # --- the connection ----------------------------------------------------

    def rename(self, new: str, old: str | None = None) -> Renamed:
        renamed = super().rename(new, old)
        self._engine.renamed(renamed.old, renamed.new)
        return renamed

    @property
    def agent(self) -> str | None:
        """Whose connection it is; None for an operator's."""
        welcome = self._engine.tracker.welcome
        return welcome.agent if welcome else self._agent

    @property
    def network(self) -> str:
        return self._engine.network

    @property
    def epoch(self) -> int:
        """Of the broker last heard; a new one means that another took over."""
        welcome = self._engine.tracker.welcome
        return welcome.epoch if welcome else 0

    @property
    def closed(self) -> bool:
        """Whether `close` was called, or the connection ended for good."""
        return self._engine.is_closed() or self._engine.failed is not None

    @property
    def connected(self) -> bool:
        return self._engine.tracker.greeted

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until all that was submitted and settled so far is answered.

        Raises `TimedOut` or `NoBroker`; what became of each is told by its `Pending`.
        """
        deadline = end_of(timeout)
        engine = self._engine
        for last in (engine.last_sending, engine.last_settlement):
            if last is not None and not last.wait(deadline - time.monotonic()):
                raise engine.late("the end of all that is under way", timeout)

    def close(self, timeout: float = CLOSE_S, *, keep_leases: bool = False) -> None:
        """Say what is under way, give back what was not read, and leave.

        What was received and not settled comes again at once, or with `keep_leases`
        when its lease runs out. Takes at most about `timeout` seconds.
        """
        self._engine.close(timeout, keep_leases=keep_leases)
        self._engine.ended.wait(timeout + 0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Only asks: this may run in any thread, also in the one that would answer.
        self._engine.close(CLOSE_S, keep_leases=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._agent or 'operator'}@{self.network}>"
