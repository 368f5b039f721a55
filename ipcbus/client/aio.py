"""The client for tasks: the words of `Client`, each awaited.

The socket's thread is the same as under `Client`; a task waits on a future that the
thread resolves through the loop. Nothing is taken out of the client before the task
runs on, so one that is cancelled while it waits loses no message.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, cast

from ipcbus.client import asking
from ipcbus.client.aio_questions import AsyncQuestions
from ipcbus.client.aio_waits import (
    outcome,
    result,
    room,
    send,
    sleep,
    until_done,
)
from ipcbus.client.asking import Options
from ipcbus.client.calling import Asked, Awaited
from ipcbus.client.connect import open_engine
from ipcbus.client.engine import Engine, pieces
from ipcbus.client.message import AsyncMessage, Attachment, Outgoing, Pair, Receipt
from ipcbus.client.outbox import Sending
from ipcbus.client.pending import Pending
from ipcbus.client.sayable import end_of, lease_ms, whole
from ipcbus.client.sync import CLOSE_S, Client
from ipcbus.client.words import Renamed
from ipcbus.errors import IpcbusError, NotPermitted
from ipcbus.protocol.limits import MAX_UINT


async def connect_async(
    network: str | None = None,
    *,
    agent: str | None = None,
    prefetch: int = 256,
    start: bool = True,
    timeout: float = 10.0,
    program: str = "",
) -> AsyncClient:
    """As `ipcbus.connect`, without holding up the loop."""
    # In a thread: it reads files and may start a broker. One that is cancelled goes
    # on to its end there, and what it connected is closed.
    opening = _in_a_thread(
        lambda: open_engine(
            AsyncMessage,
            network,
            agent,
            prefetch=prefetch,
            start=start,
            timeout=timeout,
            program=program,
        )
    )
    try:
        engine, name = await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    return AsyncClient(engine, name)


_Opened = tuple[Engine, str | None]


def _in_a_thread(work: Callable[[], _Opened]) -> Future[_Opened]:
    """Not in one of the loop's own: a program that ends waits for those, as long as it
    takes to connect to one that does not answer."""
    done: Future[_Opened] = Future()
    done.set_running_or_notify_cancel()  # from now on it cannot be cancelled

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            done.set_exception(error)

    threading.Thread(target=run, name="ipcbus-connect", daemon=True).start()
    return done


def _close_unwanted(opening: Future[_Opened]) -> None:
    if opening.exception() is None:
        opening.result()[0].close(0.0, keep_leases=False)


class AsyncClient(AsyncQuestions):
    """One agent's connection to a network, made by `ipcbus.connect_async`.

    Every method does what the method of `Client` with its name does.
    """

    def __init__(self, engine: Engine, agent: str | None) -> None:
        self._engine = engine
        self._agent = agent

    # --- sending -----------------------------------------------------------

    async def send(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float | None = 30.0,
        **options: Unpack[Options],
    ) -> Receipt:
        engine, end = self._engine, end_of(timeout)
        if not engine.has_room():
            await room(engine, end, timeout)
        sending = engine.submit_to(to, body, options)
        return await result(engine, sending, end, timeout)

    async def submit(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Pending[Receipt]:
        """The `Pending` can be awaited."""
        engine = self._engine
        if not engine.has_room():
            await room(engine, end_of(timeout), timeout)
        return engine.submit_to(to, body, options)

    async def send_many(
        self, messages: Iterable[Outgoing | Pair], *, timeout: float | None = 30.0
    ) -> list[Receipt | IpcbusError]:
        engine, end = self._engine, end_of(timeout)
        under_way: list[Sending | IpcbusError] = []
        for some in pieces(messages):
            while some:
                engine.check()
                try:
                    await room(engine, end, timeout)
                    made = engine.submit_some(some)
                except IpcbusError as error:
                    made = [error]
                under_way += made
                some = some[len(made) :]
        return [await outcome(engine, one, end, timeout) for one in under_way]

    async def ask(
        self,
        to: str,
        body: str | bytes = "",
        *,
        timeout: float = 60.0,
        ack: bool = True,
        **options: Unpack[Options],
    ) -> AsyncMessage:
        engine, end = self._engine, end_of(timeout)
        outgoing, id_ = asking.question(to, body, options, engine.fresh_id())
        awaited = self._await(id_)
        try:
            await send(engine, outgoing, timeout)
            return await self._reply(awaited, end, timeout, ack=ack)
        finally:
            self._stop_waiting(awaited)

    async def wait_reply(
        self, id_: str, *, timeout: float = 60.0, ack: bool = True
    ) -> AsyncMessage:
        end = end_of(timeout)
        awaited = self._await(id_)
        try:
            return await self._reply(awaited, end, timeout, ack=ack)
        finally:
            self._stop_waiting(awaited)

    def _await(self, id_: str) -> Awaited:
        awaited = Awaited(id_)
        self._engine.post(self._engine.tracker.wait_for, awaited)
        return awaited

    async def _reply(
        self, awaited: Awaited, end: float, timeout: float, *, ack: bool
    ) -> AsyncMessage:
        message = await result(self._engine, awaited, end, timeout)
        awaited.taken = True
        return cast(AsyncMessage, asking.reply_from(message, ack=ack))

    def _stop_waiting(self, awaited: Awaited) -> None:
        if not awaited.taken and self._engine.failed is None:
            self._engine.post(self._engine.tracker.give_up, awaited)

    # --- receiving ---------------------------------------------------------

    async def receive(
        self,
        max: int = 1,  # noqa: A002 - the word of the API
        timeout: float | None = None,
        lease: float = 60.0,
    ) -> list[AsyncMessage]:
        engine = self._reading()
        whole("max", max, 1, MAX_UINT)
        ms, end = lease_ms(lease), end_of(timeout)
        while True:
            now = time.monotonic()
            found = engine.look(max, ms, now)
            if found:
                return cast(list[AsyncMessage], found)
            if now >= end:
                engine.check_served()
                return []
            await sleep(engine.tracker.intake.arrived, engine.has_news, end)

    async def __aiter__(self) -> AsyncIterator[AsyncMessage]:
        engine = self._engine
        message: Any
        while not engine.is_closed():
            try:
                message = engine.look_once() or (await self.receive())[0]
            except IpcbusError:
                if engine.is_closed():
                    return
                raise
            yield message

    async def fetch(
        self,
        max: int = 1,  # noqa: A002
        max_bytes: int | None = None,
        *,
        lease: float = 60.0,
        timeout: float = 0.0,
    ) -> tuple[list[AsyncMessage], int]:
        engine = self._reading()
        fetch = asking.new_fetch(max, max_bytes, lease, timeout)
        engine.post(engine.tracker.intake.fetch, fetch)
        try:
            most = asking.fetch_s(timeout)
            found = await result(engine, fetch, end_of(most), most)
        except BaseException:
            if engine.failed is None:
                engine.post(engine.tracker.intake.cancel, fetch)
            raise
        return cast(tuple[list[AsyncMessage], int], found)

    def _reading(self) -> Engine:
        self._engine.check()
        if self._agent is None:
            raise NotPermitted(reason="an operator has no mailbox; connect as an agent")
        return self._engine

    # --- asking the broker -------------------------------------------------

    async def call(
        self, name: str, *args: Any, body: bytes = b"", timeout: float = 30.0
    ) -> tuple[Any, bytes]:
        asked, end = Asked(name, args, body), end_of(timeout)
        self._engine.post(self._engine.tracker.calling.call, asked)
        return await result(self._engine, asked, end, timeout)

    # --- attachments -------------------------------------------------------

    async def upload(
        self, source: str | Path | bytes, name: str | None = None, **options: Any
    ) -> Attachment:
        """Runs in a thread: it reads and hashes a file."""
        return await asyncio.to_thread(
            self._in_a_thread().upload, source, name, **options
        )

    async def download(
        self, attachment: Attachment, path: str | Path, **options: Any
    ) -> Path:
        return await asyncio.to_thread(
            self._in_a_thread().download, attachment, path, **options
        )

    def _in_a_thread(self) -> Client:
        return _Borrowed(self._engine, self._agent)

    # --- the connection ----------------------------------------------------

    async def rename(self, new: str, old: str | None = None) -> Renamed:
        renamed = await super().rename(new, old)
        self._engine.renamed(renamed.old, renamed.new)
        return renamed

    @property
    def agent(self) -> str | None:
        return self._in_a_thread().agent

    @property
    def network(self) -> str:
        return self._engine.network

    @property
    def epoch(self) -> int:
        return self._in_a_thread().epoch

    @property
    def closed(self) -> bool:
        return self._in_a_thread().closed

    @property
    def connected(self) -> bool:
        return self._engine.tracker.greeted

    async def flush(self, timeout: float = 30.0) -> None:
        engine, end = self._engine, end_of(timeout)
        for last in (engine.last_sending, engine.last_settlement):
            if last is None or last.done():
                continue
            await until_done(last, end)
            if not last.done():
                raise engine.late("the end of all that is under way", timeout)

    async def close(
        self,
        timeout: float = CLOSE_S,
        *,
        keep_leases: bool = False,
    ) -> None:
        self._engine.close(timeout, keep_leases=keep_leases)
        await until_done(self._engine.ended, end_of(timeout + 0.2))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        self._engine.close(CLOSE_S, keep_leases=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._agent or 'operator'}@{self.network}>"


class _Borrowed(Client):
    """The waiting methods of `Client` on an engine that is somebody else's."""

    def __del__(self) -> None:
        return
