"""Redis streams through redis-py with hiredis: XADD in pipelines, a consumer group.

Confirmed means: in the append-only file, which is synced each second (`everysec`) or
before the answer (`always`). A receiver acks (XACK) and deletes each message that it
has read. In `many` four pipelines of a sender are under way at once.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from benchmarks.peers.base import (
    HANDS,
    LAST_BODY,
    Contender,
    Job,
    Round,
    Tally,
    child,
    free_port,
    in_batches,
    wait_for_port,
)

BATCH: Final = 512


class Redis(Contender):
    module = "benchmarks.peers.redis_peer"
    fsync = "everysec"

    @classmethod
    def missing(cls) -> str:
        if find_spec("redis") is None or find_spec("hiredis") is None:
            return "not installed: pip install 'redis[hiredis]'"
        missing = shutil.which("redis-server") is None
        return "not installed: apt-get install redis-server" if missing else ""

    def start(self) -> dict[str, Any]:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", self.fsync]
        command = ["redis-server", *options, "--dir", str(self.home)]
        self.pids = [self.run(command).pid]
        wait_for_port(port)
        redis = _connect(port)
        for number in range(self.job.pairs):
            redis.xgroup_create(f"r{number}", "g", mkstream=True)
        redis.close()
        return {"port": port}


class RedisAlways(Redis):
    fsync = "always"


def _connect(port: int) -> Any:
    return import_module("redis").Redis(port=port)


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    job: Job = given["job"]
    redis, stream = _connect(given["port"]), f"r{number}"
    stack.callback(redis.close)
    if given["role"] == "receive":
        return lambda seconds: _receive(redis, stream)
    many = job.how == "many" and job.pairs == 1
    hands = HANDS if many else 1
    size = job.window // hands if many else min(BATCH, job.window)
    return lambda seconds: _send(redis, stream, hands, size, seconds)


def _send(
    redis: Any, stream: str, hands: int, size: int, seconds: float
) -> dict[str, Any]:
    def give(hand: int, bodies: list[bytes]) -> None:
        if size == 1:
            redis.xadd(stream, {b"b": bodies[0]})
            return
        pipeline = redis.pipeline(transaction=False)
        for body in bodies:
            pipeline.xadd(stream, {b"b": body})
        pipeline.execute()

    tally = in_batches(give, hands=hands, size=size, seconds=seconds)
    redis.xadd(stream, {b"b": LAST_BODY})
    return tally.told()


def _receive(redis: Any, stream: str) -> dict[str, Any]:
    tally, more = Tally(), True
    while more:
        found = redis.xreadgroup("g", "c", {stream: ">"}, count=BATCH, block=60_000)
        ids = []
        for id_, fields in found[0][1]:
            more = tally.received(fields[b"b"])
            ids.append(id_)
        pipeline = redis.pipeline(transaction=False)
        pipeline.xack(stream, "g", *ids)
        pipeline.xdel(stream, *ids)
        pipeline.execute()
    return tally.told()


if __name__ == "__main__":
    child(make)
