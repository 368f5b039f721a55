"""The children of `benchmarks.bridge`: one sender, or one receiver, in one network.

A round is a burst, as fast as the window lets, or a walk: one message at a time, the
next one when that is long through.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import deque
from typing import Any, Final

import ipcbus
from benchmarks.bus import ANSWER_S
from benchmarks.cases import stamp, stamped
from benchmarks.workers import serve
from ipcbus.client.pending import Pending

WINDOW: Final = 1024
SIZE: Final = 256

WALK_S: Final = (0.005, 0.015)
"""Between two messages of a walk: more than one of them takes."""

_FILLER: Final = bytes(SIZE - 8)


def burst(client: ipcbus.Client, to: str, count: int) -> None:
    flying: deque[Pending[Any]] = deque()
    for _ in range(count):
        if len(flying) >= WINDOW:
            flying.popleft().result(ANSWER_S)
        flying.append(client.submit(to, stamp(time.monotonic_ns()) + _FILLER))
    while flying:
        flying.popleft().result(ANSWER_S)


def walk(client: ipcbus.Client, to: str, count: int) -> None:
    for _ in range(count):
        client.send(to, stamp(time.monotonic_ns()) + _FILLER)
        time.sleep(random.uniform(*WALK_S))


def receive(client: ipcbus.Client, count: int) -> list[int]:
    """Take that many, each acked; how many ns each was under way."""
    samples: list[int] = []
    for message in client:
        samples.append(time.monotonic_ns() - stamped(message.raw_body))
        message.ack()
        if len(samples) == count:
            break
    client.flush(ANSWER_S)
    return samples


def main(network: str, agent: str) -> None:
    with ipcbus.connect(network, agent=agent, prefetch=WINDOW) as client:

        def work(order: dict[str, Any]) -> dict[str, Any]:
            began, cpu = time.monotonic(), time.process_time()
            samples: list[int] = []
            if "to" not in order:
                samples = receive(client, order["count"])
            elif order["walks"]:
                walk(client, order["to"], order["count"])
            else:
                burst(client, order["to"], order["count"])
            return {
                "began": began,
                "ended": time.monotonic(),
                "samples": samples[:: max(1, len(samples) // 5000)],
                "cpu": time.process_time() - cpu,
            }

        serve(work)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
