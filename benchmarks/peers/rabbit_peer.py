"""RabbitMQ through pika: persistent messages, publisher confirms, manual acks.

Confirmed means: written (classic queue), or synced in the log of a quorum queue, which
here has one member. The node and its port mapper (epmd) are of its own, on loopback.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.base import (
    LAST_BODY,
    WINDOW,
    Contender,
    Job,
    Round,
    Tally,
    child,
    free_port,
    wait_for_port,
)

SCRIPT: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's own: the one on the PATH becomes another user."""

CONFIG: Final = """\
listeners.tcp.default = 127.0.0.1:{port}
loopback_users.guest = true
vm_memory_high_watermark.relative = 0.5
disk_free_limit.absolute = 50MB
"""


def _script() -> str | None:
    return str(SCRIPT) if SCRIPT.exists() else shutil.which("rabbitmq-server")


class Rabbit(Contender):
    module = "benchmarks.peers.rabbit_peer"
    kind = "classic"

    @classmethod
    def missing(cls) -> str:
        if find_spec("pika") is None:
            return "not installed: pip install pika"
        missing = _script() is None or shutil.which("epmd") is None
        return "not installed: apt-get install rabbitmq-server" if missing else ""

    def start(self) -> dict[str, Any]:
        mapper, dist, port = free_port(), free_port(), free_port()
        (self.home / "rabbitmq.conf").write_text(CONFIG.format(port=port))
        (self.home / "plugins").write_text("[].")
        self.run(["epmd", "-port", str(mapper), "-address", "127.0.0.1"])
        wait_for_port(mapper)
        node = self.run(
            [str(_script())],
            HOME=str(self.home),
            ERL_EPMD_PORT=str(mapper),
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_NODENAME=f"bench{port}@localhost",
            RABBITMQ_DIST_PORT=str(dist),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=(
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
            RABBITMQ_CONFIG_FILE=str(self.home / "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.home / "plugins"),
            RABBITMQ_MNESIA_BASE=str(self.home / "mnesia"),
            RABBITMQ_LOG_BASE=str(self.home / "logs"),
        )
        wait_for_port(port)
        self.pids = [node.pid, *_descendants(node.pid)]
        self._declare(port)
        return {"port": port}

    def _declare(self, port: int) -> None:
        connection = import_module("pika").BlockingConnection(_parameters(port))
        channel = connection.channel()
        for number in range(self.job.pairs):
            channel.queue_declare(
                f"r{number}", durable=True, arguments={"x-queue-type": self.kind}
            )
        connection.close()


class RabbitQuorum(Rabbit):
    kind = "quorum"


def _descendants(pid: int) -> list[int]:
    """Processes below this one: the node is started by a script."""
    found = []
    for told in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(told), *_descendants(int(told))]
    return found


def _parameters(port: int) -> Any:
    return import_module("pika").ConnectionParameters(
        "127.0.0.1", port, heartbeat=0, connection_attempts=20, retry_delay=0.5
    )


# --- the children -------------------------------------------------------------------


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    kind: type[End] = Reader if given["role"] == "receive" else Sender
    end = kind(given["job"], f"r{number}")
    end.connect(given["port"])
    stack.callback(end.close)
    return end.round


class End:
    """A connection whose loop runs as long as a round does."""

    def __init__(self, job: Job, queue: str) -> None:
        self.job = job
        self.queue = queue
        self.tally = Tally()

    def connect(self, port: int) -> None:
        """Returns when the channel is ready."""
        self.connection = import_module("pika").SelectConnection(
            _parameters(port), on_open_callback=self._on_open
        )
        self.loop = self.connection.ioloop
        self.loop.start()

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self.channel = channel
        self.prepare(lambda _: self.loop.stop())

    def prepare(self, then: Callable[[Any], None]) -> None:
        raise NotImplementedError

    def round(self, seconds: float) -> dict[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.connection.add_on_close_callback(lambda *_: self.loop.stop())
        self.connection.close()
        self.loop.start()


class Sender(End):
    def prepare(self, then: Callable[[Any], None]) -> None:
        pika = import_module("pika")
        self._persistent = pika.BasicProperties(delivery_mode=2)
        self._sampled: dict[int, int] = {}
        self._published = self._confirmed = 0
        self.channel.confirm_delivery(self._on_confirmed, callback=then)

    def round(self, seconds: float) -> dict[str, Any]:
        self.tally = Tally()
        self._end: float | None = self.tally.began + seconds
        self._fill()
        self.loop.start()
        return self.tally.told()

    def _fill(self) -> None:
        """Publish what has room; at the end the last message, when nothing else is
        under way; and when that is confirmed, the round is over."""
        flying = self._published - self._confirmed
        if self._end is None:
            if not flying:
                self.loop.stop()
        elif time.monotonic() < self._end:
            for _ in range(self.job.window - flying):
                self._publish(*self.tally.next_body(self.job.every))
        elif not flying:
            self._end = None
            self._publish(0, LAST_BODY)

    def _publish(self, at: int, body: bytes) -> None:
        self._published += 1
        if at:
            self._sampled[self._published] = at
        self.channel.basic_publish("", self.queue, body, self._persistent)

    def _on_confirmed(self, frame: Any) -> None:
        tag, before = frame.method.delivery_tag, self._confirmed
        if frame.method.NAME != "Basic.Ack":
            raise RuntimeError("RabbitMQ refused a message")
        self._confirmed += tag - before if frame.method.multiple else 1
        first = before + 1 if frame.method.multiple else tag
        for number in range(first, tag + 1):
            if number in self._sampled:
                self.tally.sent(self._sampled.pop(number))
        self._fill()


class Reader(End):
    def prepare(self, then: Callable[[Any], None]) -> None:
        self.channel.basic_qos(prefetch_count=WINDOW)
        self.channel.basic_consume(self.queue, self._take, callback=then)

    def _take(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        channel.basic_ack(method.delivery_tag)
        if not self.tally.received(body):
            self.loop.stop()

    def round(self, seconds: float) -> dict[str, Any]:
        self.loop.start()
        told, self.tally = self.tally.told(), Tally()
        return told


if __name__ == "__main__":
    child(make)
