"""A pair of agents in processes of their own, and what is measured with it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import ipcbus
from benchmarks import pair
from benchmarks.bus import ANSWER_S
from benchmarks.figures import percentile
from benchmarks.workers import Worker, serve
from ipcbus import Outgoing

BURST: Final = 20_000
"""Messages of one round as fast as the window lets."""

STEPS: Final = 200
"""Messages of one round one at a time."""

BODY: Final = bytes(pair.SIZE)


class Couple:
    """A sender and a receiver, by default of what is sent straight to it.

    `topic`: the receiver joins it, and it is what the sender writes to.
    """

    def __init__(self, network: str, topic: str = "") -> None:
        self._stack = ExitStack()
        self._to = f"#{topic}" if topic else "receiver"
        given = {"network": network, "agent": "receiver", "topic": topic}
        try:
            self._receiver = self._worker(given)
            self._sender = self._worker({"network": network, "agent": "sender"})
        except BaseException:
            self.close()
            raise

    def _worker(self, given: dict[str, str]) -> Worker:
        return self._stack.enter_context(Worker("benchmarks.curves.couple", given))

    def rate(self, how: str = "submit", count: int = BURST, to: str = "") -> float:
        """Messages a second: sent, stored, received, acked, all of it committed."""
        sent, received = self._round(how, count, to)
        return float(count / (received["ended"] - sent["began"]))

    def latency(self, count: int = STEPS) -> dict[str, float]:
        """One message at a time: microseconds from send to receipt."""
        sent, _ = self._round("walk", count)
        return {
            "p50_us": percentile(sent["samples"], 0.5) / 1000,
            "p99_us": percentile(sent["samples"], 0.99) / 1000,
        }

    def _round(
        self, how: str, count: int, to: str = ""
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self._receiver.go({"how": "receive", "count": count})
        self._sender.go({"how": how, "count": count, "to": to or self._to})
        sent, received = (one.hear(ANSWER_S) for one in (self._sender, self._receiver))
        return sent, received

    def close(self) -> None:
        self._stack.close()


# --- the children ------------------------------------------------------------


def send_many(client: ipcbus.Client, to: str, count: int) -> list[int]:
    receipts = client.send_many([Outgoing(to, BODY) for _ in range(count)])
    bad = [one for one in receipts if isinstance(one, Exception)]
    assert not bad, bad[0]
    return []


def submit(client: ipcbus.Client, to: str, count: int) -> list[int]:
    pair.burst(client, to, count)
    return []


def walk(client: ipcbus.Client, to: str, count: int) -> list[int]:
    samples = []
    for _ in range(count):
        at = time.monotonic_ns()
        client.send(to, BODY)
        samples.append(time.monotonic_ns() - at)
    return samples


_HOW: dict[str, Callable[[ipcbus.Client, str, int], list[int]]] = {
    "send_many": send_many,
    "submit": submit,
    "walk": walk,
}


def main(network: str, agent: str, topic: str = "") -> None:
    with ipcbus.connect(network, agent=agent, prefetch=pair.WINDOW) as client:
        if topic:
            client.call("join", topic)

        def work(order: dict[str, Any]) -> dict[str, Any]:
            began, samples = time.monotonic(), []
            if order["how"] == "receive":
                pair.receive(client, order["count"])
            else:
                samples = _HOW[order["how"]](client, order["to"], order["count"])
            return {"began": began, "ended": time.monotonic(), "samples": samples}

        serve(work)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
