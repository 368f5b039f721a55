"""Across a bridge, next to one network alone: `python -m benchmarks.bridge`.

alice@dev sends to bob@prod over a bridge and, in turns, to carol@dev, who is in her own
network. Sender, receivers, both brokers and the bridge are processes of their own. A
message counts when the ack of its receiver is committed.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from benchmarks.bus import ANSWER_S, QUIET_CPU, QUIET_S
from benchmarks.figures import Figure, figure, percentile, table, write
from benchmarks.workers import READY_S, Worker, cpu_s, reap
from ipcbus import networks
from ipcbus.transport import launch

WAYS: Final = {"alone": "carol", "bridge": "bob@prod"}
"""What is compared, and whom alice writes to for it."""

HEADS: Final = ("", "msg/s", "one at a time, p50 us", "p99 us")

Rounds = dict[str, list[dict[str, float]]]


class Town:
    """Two networks, a bridge between them, and those who write."""

    def __init__(self, folder: Path | None) -> None:
        self._stack = ExitStack()
        home = tempfile.mkdtemp(prefix="ipcbus-bridge-", dir=folder)
        self._stack.callback(shutil.rmtree, home)
        os.environ["IPCBUS_HOME"] = home
        try:
            self.pids = {name: self._broker(name) for name in ("dev", "prod")}
            self.pids["bridge"] = self._bridge()
            self._receivers = {
                "alone": self._member("dev", "carol"),
                "bridge": self._member("prod", "bob"),
            }
            self._sender = self._member("dev", "alice")
        except BaseException:
            self.close()
            raise

    def _broker(self, name: str) -> int:
        network = networks.create(name)
        info = launch.start(network)
        self._stack.callback(launch.stop, network, force=True)
        return info.pid

    def _bridge(self) -> int:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "ipcbus", "bridge", "dev", "prod"],
            stdout=subprocess.PIPE,
        )
        self._stack.callback(_end, process)
        _wait_for_links(process)
        return process.pid

    def _member(self, network: str, agent: str) -> Worker:
        given = {"network": network, "agent": agent}
        return self._stack.enter_context(Worker("benchmarks.pair", given))

    def round(self, way: str, count: int, *, walks: bool) -> dict[str, float]:
        self._settle()
        before = {name: cpu_s(pid) for name, pid in self.pids.items()}
        self._receivers[way].go({"count": count})
        self._sender.go({"to": WAYS[way], "count": count, "walks": walks})
        sent = self._sender.hear(ANSWER_S)
        got = self._receivers[way].hear(ANSWER_S)
        used = {name: cpu_s(pid) - before[name] for name, pid in self.pids.items()}
        used |= {"sender": sent["cpu"], "receiver": got["cpu"]}
        return {
            "rate": count / (got["ended"] - sent["began"]),
            "p50_us": percentile(got["samples"], 0.5) / 1000,
            "p99_us": percentile(got["samples"], 0.99) / 1000,
            **{f"{name}_cpu_us": s / count * 1e6 for name, s in used.items()},
        }

    def _settle(self, most_s: float = 10.0) -> None:
        """Wait until the brokers have indexed what came."""
        end = time.monotonic() + most_s
        used = sum(map(cpu_s, self.pids.values()))
        while time.monotonic() < end:
            time.sleep(QUIET_S)
            before, used = used, sum(map(cpu_s, self.pids.values()))
            if used - before <= QUIET_CPU * QUIET_S:
                return

    def close(self) -> None:
        self._stack.close()


def _wait_for_links(process: subprocess.Popen[bytes]) -> None:
    """Until both links say that they are running."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    said, end = b"", time.monotonic() + READY_S
    while said.count(b": running\n") < 2:
        left = max(0.0, end - time.monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            raise RuntimeError(f"no bridge after {READY_S:g} s: {said!r}")
        piece = os.read(descriptor, 4096)
        if not piece:
            raise RuntimeError(f"the bridge ended: {said!r}")
        said += piece


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    reap(process, 10)
    assert process.stdout is not None
    process.stdout.close()


def measure(options: argparse.Namespace) -> tuple[Rounds, Rounds]:
    """Bursts and walks; both ways take turns in each."""
    bursts: Rounds = {way: [] for way in WAYS}
    walks: Rounds = {way: [] for way in WAYS}
    with closing(Town(options.folder)) as town:
        for way in WAYS:  # the first touch of everything
            town.round(way, 5_000, walks=False)
        for _ in range(options.rounds):
            for way in WAYS:
                bursts[way].append(town.round(way, options.burst, walks=False))
            for way in WAYS:
                walks[way].append(town.round(way, options.walk, walks=True))
    return bursts, walks


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    bursts, walks = measure(options)
    print(table(HEADS, [_row(way, bursts, walks) for way in WAYS]))
    ratios = _compared(bursts, "rate", lambda bridge, alone: bridge / alone)
    added = _compared(walks, "p50_us", lambda bridge, alone: bridge - alone)
    print(f"\nrate across the bridge : rate of one network  {ratios.text(2)}")
    print(f"latency added by the bridge, p50              {added.text()} us")
    for way in WAYS:
        print(f"cpu us/message, {way:<7} {_cpu(bursts[way])}")
    print(
        "\nMedians of the rounds, in brackets the lowest and the highest; ratios and"
        "\ndifferences are of the two that followed each other."
    )
    told: Mapping[str, Any] = {"bursts": bursts, "walks": walks}
    print(f"\nwritten: {write('bridge', told)}")


def _compared(rounds: Rounds, what: str, how: Any) -> Figure:
    pairs = zip(rounds["bridge"], rounds["alone"], strict=True)
    return figure([how(bridge[what], alone[what]) for bridge, alone in pairs])


def _row(way: str, bursts: Rounds, walks: Rounds) -> list[str]:
    return [
        {"alone": "one network", "bridge": "across a bridge"}[way],
        figure([one["rate"] for one in bursts[way]]).text(),
        figure([one["p50_us"] for one in walks[way]]).text(),
        figure([one["p99_us"] for one in walks[way]]).text(),
    ]


def _cpu(rounds: list[dict[str, float]]) -> str:
    names = [name for name in rounds[0] if name.endswith("_cpu_us")]
    medians = {name: figure([one[name] for one in rounds]).median for name in names}
    parts = [f"{name[:-7]} {value:.0f}" for name, value in medians.items()]
    return ", ".join(parts)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridge")
    parser.add_argument("--burst", type=int, default=30_000, help="messages of one")
    parser.add_argument("--walk", type=int, default=200, help="messages of one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
