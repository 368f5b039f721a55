"""What all contenders have in common: a server, and children that work in rounds.

A child is `python -m MODULE JSON`; the JSON names its role and the numbers of the pairs
it plays, a thread for each. Its rounds are those of `benchmarks.bus`: a sender sends
for some seconds, then a body that says that this was all; a receiver acks until then.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.bus import ANSWER_S, QUIET_CPU, QUIET_S, SHARED_BY, in_threads, summed
from benchmarks.cases import END, NO_TIME, SAMPLE_EVERY, stamp, stamped
from benchmarks.figures import percentile
from benchmarks.workers import TICKS, Worker, cpu_s, reap, rss_bytes, serve

SIZE: Final = 256
FILLER: Final = bytes(SIZE - 8)
PLAIN_BODY: Final = NO_TIME + FILLER
LAST_BODY: Final = END + FILLER
WINDOW: Final = 1024

HANDS: Final = 4
"""Threads that give one sender's batches, where batches are to overlap: each gives a
quarter of the window and waits for it, so that three are under way meanwhile."""

SETTLE_S: Final = 10.0
"""The longest that a server may tidy up between two rounds."""

Round = Callable[[float], dict[str, Any]]
Make = Callable[[dict[str, Any], int, ExitStack], Round]


class Job(NamedTuple):
    """What is to be done.

    Attributes:
        window: messages that each sender may have unanswered.
        how: `pipe`, a call for each message; `many`, batches; `async`, the client for
            tasks. One who has no such form does it as in `pipe`.
    """

    pairs: int = 1
    window: int = WINDOW
    how: str = "pipe"

    @property
    def every(self) -> int:
        """One in so many messages carries when it was sent."""
        return 1 if self.window == 1 else SAMPLE_EVERY


class Contender:
    """A server and its clients, for as many rounds as wanted.

    Attributes:
        module: whose children they are.
        home: a folder that is gone afterwards.
        pids: processes of the server.
        lazy_s: after so long without work the server does what it has put off.
    """

    module = ""
    lazy_s = 0.0

    def __init__(self, job: Job, folder: Path | None) -> None:
        self.job = job
        self.pids: list[int] = []
        self._stack = ExitStack()
        self.home = Path(tempfile.mkdtemp(prefix="ipcbus-peers-", dir=folder))
        self._stack.callback(shutil.rmtree, self.home, ignore_errors=True)
        try:
            given = {**self.start(), "job": job}
            self._receivers = self._workers("receive", given)
            self._senders = self._workers("send", given)
        except BaseException:
            self.close()
            raise

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be measured here, and what helps; "" if it can."""
        return ""

    def start(self) -> dict[str, Any]:
        """Start the server; what its children must know."""
        raise NotImplementedError

    def run(
        self, command: Sequence[str], cwd: Path | None = None, **env: str
    ) -> subprocess.Popen[bytes]:
        """Start a process, to be ended with this contender; it logs into `home`."""
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd or self.home,
                env={**os.environ, **env},
            )
        self._stack.callback(_end, process)
        return process

    def _workers(self, role: str, given: dict[str, Any]) -> list[Worker]:
        made = []
        for first in range(0, self.job.pairs, SHARED_BY):
            numbers = list(range(first, min(self.job.pairs, first + SHARED_BY)))
            told = {**given, "role": role, "numbers": numbers}
            made.append(self._stack.enter_context(Worker(self.module, told)))
        return made

    def used_s(self) -> float:
        """Seconds of processor that the server has used."""
        return sum(map(cpu_s, self.pids))

    def round(self, seconds: float) -> dict[str, float]:
        used = self.used_s()
        workers = self._receivers + self._senders
        for worker in workers:
            worker.go({"seconds": seconds})
        told = [worker.hear(seconds + ANSWER_S) for worker in workers]
        used = self.used_s() - used
        memory = sum(map(rss_bytes, self.pids)) / 2**20
        received, sent = told[: len(self._receivers)], told[len(self._receivers) :]
        count = sum(one["count"] for one in sent)
        later = self.settle() / count * 1e6
        return {
            **_figures(sent, received),
            "server_us": used / count * 1e6,
            "server_later_us": later,
            "server_mib": memory,
        }

    def settle(self) -> float:
        """Wait until the server is idle, so that who comes next has the machine; the
        seconds of processor that it used meanwhile."""
        first = self.used_s()
        time.sleep(self.lazy_s)
        used, end = self.used_s(), time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            time.sleep(QUIET_S)
            before, used = used, self.used_s()
            if used - before <= QUIET_CPU * QUIET_S + 1 / TICKS:
                break
        return used - first

    def close(self) -> None:
        self._stack.close()


def _figures(
    sent: list[dict[str, Any]], received: list[dict[str, Any]]
) -> dict[str, float]:
    count = sum(one["count"] for one in sent)
    if count != sum(one["count"] for one in received):
        raise RuntimeError("messages went astray")
    ended = max(one["ended"] for one in sent + received)
    confirm = [ns for one in sent for ns in one["samples"]]
    arrive = [ns for one in received for ns in one["samples"]]
    return {
        "rate": count / (ended - min(one["began"] for one in sent)),
        "confirm_p50_us": percentile(confirm, 0.5) / 1000,
        "confirm_p99_us": percentile(confirm, 0.99) / 1000,
        "arrive_p50_us": percentile(arrive, 0.5) / 1000,
        "arrive_p99_us": percentile(arrive, 0.99) / 1000,
        "sender_us": sum(one["cpu"] for one in sent) / count * 1e6,
        "receiver_us": sum(one["cpu"] for one in received) / count * 1e6,
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    reap(process, 10)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(port: int, within_s: float = 60.0) -> None:
    """Until somebody listens there. Raises `RuntimeError`."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}")


# --- the children -------------------------------------------------------------------


def child(make: Make) -> None:
    """Serve rounds: `make(given, number, stack)` connects one end of one pair, and
    leaves with `stack` what is to be closed."""
    given = json.loads(sys.argv[1])
    given["job"] = Job(*given["job"])
    with ExitStack() as stack:
        rounds = {number: make(given, number, stack) for number in given["numbers"]}

        def work(order: dict[str, Any]) -> dict[str, Any]:
            cpu = time.process_time()
            results: list[dict[str, Any]] = []

            def one(number: int) -> None:
                results.append(rounds[number](order["seconds"]))

            in_threads(one, given["numbers"])
            return summed(results, time.process_time() - cpu)

        serve(work)


class Tally:
    """What one end counts in a round."""

    def __init__(self) -> None:
        self.count = 0
        self.samples: list[int] = []
        self.began = time.monotonic()

    def next_body(self, every: int = SAMPLE_EVERY) -> tuple[int, bytes]:
        """Count a message that is to be sent: when it is sent in nanoseconds, if it is
        the one in so many that carries it, or 0; and its body."""
        self.count += 1
        return (0, PLAIN_BODY) if self.count % every else stamped_body()

    def sent(self, at: int) -> None:
        """The confirmation of a message that was sent at `at` (ns) is here."""
        self.samples.append(time.monotonic_ns() - at)

    def on_sent(self, at: int) -> Callable[[object], None]:
        """The same, to be called by who confirms."""
        return lambda _: self.samples.append(time.monotonic_ns() - at)

    def received(self, body: bytes) -> bool:
        """Count a message; False if it says that this was all."""
        start = body[:8]
        if start == END:
            return False
        self.count += 1
        if start != NO_TIME:
            self.samples.append(time.monotonic_ns() - stamped(start))
        return True

    def told(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "began": self.began,
            "ended": time.monotonic(),
            "samples": self.samples,
        }


def stamped_body() -> tuple[int, bytes]:
    at = time.monotonic_ns()
    return at, stamp(at) + FILLER


def in_batches(
    give: Callable[[int, list[bytes]], None],
    *,
    hands: int,
    size: int,
    seconds: float,
) -> Tally:
    """Let so many threads give batches of `size` bodies until the time is over:
    `give(hand, bodies)` returns when all of them are confirmed. The first body of each
    carries the time."""
    tally = Tally()
    filler, end = [PLAIN_BODY] * (size - 1), tally.began + seconds
    lock = threading.Lock()

    def work(hand: int) -> None:
        while time.monotonic() < end:
            at, stamped = stamped_body()
            give(hand, [stamped, *filler])
            with lock:
                tally.sent(at)
                tally.count += size

    in_threads(work, list(range(hands)))
    return tally
