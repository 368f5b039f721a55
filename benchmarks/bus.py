"""Durable send -> receive -> ack through ipcbus: broker, senders, receivers apart.

Senders only `submit` and wait for the oldest receipt when the window is full (at
window 1: `send`); receivers iterate and ack. Nobody batches by hand. A round ends when
the last ack is committed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ipcbus
from benchmarks.cases import END, NO_TIME, SAMPLE_EVERY, Case, stamp, stamped
from benchmarks.figures import percentile
from benchmarks.workers import Worker, cpu_s, rss_bytes, serve
from ipcbus import networks
from ipcbus.client.pending import Pending
from ipcbus.networks import Network
from ipcbus.transport import launch

SHARED_BY = 50
"""Clients in one process, when there are many."""

QUIET_CPU = 0.15
QUIET_S = 0.3
"""A broker that used less than this share of a processor for so long is idle."""

ANSWER_S = 60.0
"""For what was sent in a round to be through, after its end."""


class Bus:
    """One case's broker and clients, for as many rounds as wanted."""

    def __init__(
        self, case: Case, folder: Path | None, command: launch.Command
    ) -> None:
        self._case = case
        self._stack = ExitStack()
        home = Path(tempfile.mkdtemp(prefix="ipcbus-bench-", dir=folder))
        self._stack.callback(shutil.rmtree, home)
        os.environ["IPCBUS_HOME"] = str(home)
        self.network = networks.create("bench")
        self.network.save(networks.Saved(plain=case.plain))
        self._info = launch.start(self.network, command=command)
        self._stack.callback(_stop, self.network)
        try:
            self._receivers = self._workers("receive")
            self._senders = self._workers("send")
        except BaseException:
            self.close()
            raise

    def _workers(self, role: str) -> list[Worker]:
        pairs = range(self._case.pairs)
        made = []
        for first in pairs[::SHARED_BY]:
            numbers = list(pairs[first : first + SHARED_BY])
            given = {"role": role, "numbers": numbers, "case": self._case}
            made.append(self._stack.enter_context(Worker("benchmarks.bus", given)))
        return made

    def round(self, seconds: float) -> dict[str, float]:
        cpu, workers = cpu_s(self._info.pid), self._receivers + self._senders
        for worker in workers:
            worker.go({"seconds": seconds})
        told = [worker.hear(seconds + ANSWER_S) for worker in workers]
        received, sent = told[: len(self._receivers)], told[len(self._receivers) :]
        count = sum(one["count"] for one in sent)
        assert count == sum(one["count"] for one in received), "messages went astray"
        took = max(one["ended"] for one in told) - min(one["began"] for one in sent)
        used = cpu_s(self._info.pid) - cpu
        confirm = [ns for one in sent for ns in one["samples"]]
        arrive = [ns for one in received for ns in one["samples"]]
        return {
            "rate": count / took,
            "confirm_p50_us": percentile(confirm, 0.5) / 1000,
            "confirm_p99_us": percentile(confirm, 0.99) / 1000,
            "arrive_p50_us": percentile(arrive, 0.5) / 1000,
            "broker_cpu_s_per_100k": used / count * 100_000,
            "sender_cpu_s_per_100k": sum(s["cpu"] for s in sent) / count * 100_000,
            "receiver_cpu_s_per_100k": sum(r["cpu"] for r in received) / count * 1e5,
            "broker_rss_mib": rss_bytes(self._info.pid) / 2**20,
        }

    def settle(self, most_s: float = 10.0) -> None:
        """Wait until the broker has indexed what came: what follows has the machine."""
        end = time.monotonic() + most_s
        used = cpu_s(self._info.pid)
        while time.monotonic() < end:
            time.sleep(QUIET_S)
            before, used = used, cpu_s(self._info.pid)
            if used - before <= QUIET_CPU * QUIET_S:
                return

    def close(self) -> None:
        self._stack.close()


def _stop(network: Network) -> None:
    launch.stop(network, force=True)


# --- the children ------------------------------------------------------------


def send_round(
    client: ipcbus.Client, to: str, case: Case, seconds: float
) -> dict[str, Any]:
    """Send for `seconds`, then say that this was all."""
    filler = bytes(case.size - 8)
    began = time.monotonic()
    samples: list[int] = []
    if case.flying == 1:
        count = _one_by_one(client, to, filler, began + seconds, samples)
    else:
        count = _pipelined(client, to, filler, began + seconds, case.flying, samples)
    client.send(to, END + filler)
    return {
        "count": count,
        "began": began,
        "ended": time.monotonic(),
        "samples": samples,
    }


def _one_by_one(
    client: ipcbus.Client, to: str, filler: bytes, end: float, samples: list[int]
) -> int:
    count = 0
    while time.monotonic() < end:
        at = time.monotonic_ns()
        client.send(to, stamp(at) + filler)
        samples.append(time.monotonic_ns() - at)
        count += 1
    return count


def _pipelined(
    client: ipcbus.Client,
    to: str,
    filler: bytes,
    end: float,
    window: int,
    samples: list[int],
) -> int:
    flying: deque[Pending[Any]] = deque()
    body, count = NO_TIME + filler, 0
    while time.monotonic() < end:
        if len(flying) >= window:
            flying.popleft().result(ANSWER_S)
        count += 1
        if count % SAMPLE_EVERY:
            flying.append(client.submit(to, body))
            continue
        at = time.monotonic_ns()
        sampled = client.submit(to, stamp(at) + filler)
        sampled.add_done_callback(_timed(at, samples))
        flying.append(sampled)
    while flying:
        flying.popleft().result(ANSWER_S)
    return count


def _timed(at: int, samples: list[int]) -> Callable[[object], None]:
    def done(_: object) -> None:
        samples.append(time.monotonic_ns() - at)

    return done


def receive_round(client: ipcbus.Client) -> dict[str, Any]:
    """Receive and ack until the sender says that this was all."""
    samples: list[int] = []
    began, count = time.monotonic(), 0
    for message in client:
        message.ack()
        start = message.raw_body[:8]
        if start == END:
            break
        count += 1
        if start != NO_TIME:
            samples.append(time.monotonic_ns() - stamped(start))
    client.flush(ANSWER_S)
    return {
        "count": count,
        "began": began,
        "ended": time.monotonic(),
        "samples": samples,
    }


def main(role: str, numbers: list[int], case: Case) -> None:
    mine, theirs = ("s", "r") if role == "send" else ("r", "s")
    clients = {
        n: ipcbus.connect("bench", agent=f"{mine}{n}", prefetch=1024) for n in numbers
    }

    def work(order: dict[str, Any]) -> dict[str, Any]:
        cpu = time.process_time()
        results: list[dict[str, Any]] = []

        def one(number: int) -> None:
            client = clients[number]
            if role == "send":
                to = f"{theirs}{number}"
                results.append(send_round(client, to, case, order["seconds"]))
            else:
                results.append(receive_round(client))

        in_threads(one, numbers)
        return summed(results, time.process_time() - cpu)

    serve(work)
    for client in clients.values():
        client.close()


def in_threads(one: Callable[[int], None], numbers: list[int]) -> None:
    """`one` of each number at once."""
    if len(numbers) == 1:
        return one(numbers[0])
    threads = [threading.Thread(target=one, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return None


def summed(results: list[dict[str, Any]], cpu: float) -> dict[str, Any]:
    samples = [ns for result in results for ns in result["samples"]]
    return {
        "count": sum(result["count"] for result in results),
        "began": min(result["began"] for result in results),
        "ended": max(result["ended"] for result in results),
        "samples": samples[:: max(1, len(samples) // 5000)],
        "cpu": cpu,
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(given["role"], given["numbers"], Case(*given["case"]))
