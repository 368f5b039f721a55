"""Mosquitto, QoS 1, through paho.

Confirmed means: in the memory of the broker, which saves itself at intervals. The
client acks each message when the callback that it is given to has returned.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from benchmarks.bus import ANSWER_S
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

QOS: Final = 1

CONFIG: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {home}/
max_queued_messages 0
max_inflight_messages {window}
user root
"""


def _server() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto(Contender):
    module = "benchmarks.peers.mosquitto_peer"

    @classmethod
    def missing(cls) -> str:
        if find_spec("paho") is None:
            return "not installed: pip install paho-mqtt"
        return "" if _server() else "not installed: apt-get install mosquitto"

    def start(self) -> dict[str, Any]:
        port = free_port()
        config = CONFIG.format(port=port, home=self.home, window=WINDOW)
        (self.home / "mosquitto.conf").write_text(config)
        self.pids = [self.run([str(_server()), "-c", "mosquitto.conf"]).pid]
        wait_for_port(port)
        return {"port": port}


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    kind: type[End] = Reader if given["role"] == "receive" else Sender
    end = kind(given["job"], number)
    end.connect(given["port"], stack)
    return end.round


class End:
    """A client with its thread, in which the callbacks run."""

    letter = ""

    def __init__(self, job: Job, number: int) -> None:
        mqtt = import_module("paho.mqtt.client")
        self.job = job
        self.topic = f"r{number}"
        self.tally = Tally()
        self.ready = threading.Event()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"{self.letter}{number}",
            clean_session=False,
        )
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(WINDOW)
        self.client.on_connect = lambda *_: self.on_connect()

    def connect(self, port: int, stack: ExitStack) -> None:
        self.client.connect("127.0.0.1", port, keepalive=0)
        self.client.loop_start()
        stack.callback(self.client.loop_stop)
        stack.callback(self.client.disconnect)
        if not self.ready.wait(ANSWER_S):
            raise RuntimeError("mosquitto does not answer")

    def on_connect(self) -> None:
        self.ready.set()

    def round(self, seconds: float) -> dict[str, Any]:
        raise NotImplementedError


class Sender(End):
    letter = "s"

    def __init__(self, job: Job, number: int) -> None:
        super().__init__(job, number)
        self._room = threading.Semaphore(job.window)
        self._sent_at = deque[int]()
        self.client.on_publish = self._confirmed

    def _confirmed(self, *_: Any) -> None:
        at = self._sent_at.popleft()
        if at:
            self.tally.sent(at)
        self._room.release()

    def round(self, seconds: float) -> dict[str, Any]:
        tally = self.tally = Tally()
        end = tally.began + seconds
        while time.monotonic() < end:
            self._room.acquire()
            self._publish(*tally.next_body(self.job.every))
        self._room.acquire()
        self._publish(0, LAST_BODY)
        for _ in range(self.job.window):
            self._room.acquire()
        self._room.release(self.job.window)
        return tally.told()

    def _publish(self, at: int, body: bytes) -> None:
        self._sent_at.append(at)
        self.client.publish(self.topic, body, QOS)


class Reader(End):
    letter = "r"

    def __init__(self, job: Job, number: int) -> None:
        super().__init__(job, number)
        self._ended = threading.Event()
        self.client.on_message = self._take
        self.client.on_subscribe = lambda *_: self.ready.set()

    def on_connect(self) -> None:
        self.client.subscribe(self.topic, QOS)

    def _take(self, client: Any, data: Any, message: Any) -> None:
        if not self.tally.received(message.payload):
            self._ended.set()

    def round(self, seconds: float) -> dict[str, Any]:
        self._ended.wait()
        self._ended.clear()
        told, self.tally = self.tally.told(), Tally()
        return told


if __name__ == "__main__":
    child(make)
