"""A mailbox with a million messages: `python -m benchmarks.backlog [--messages N]`.

Is sending into it slower than into an empty one, how much does the broker's memory
grow, how long does it take to start (after a clean stop and after kill -9), and how
long does it take to lease one message and ack it?
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipcbus
from benchmarks.bus import ANSWER_S
from benchmarks.figures import figure, percentile, write
from benchmarks.workers import rss_bytes
from ipcbus import networks
from ipcbus.networks import Network
from ipcbus.transport import launch

BODY = b"b" * 256
ROUND = 20_000
TAKES = 1_000


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    home = Path(tempfile.mkdtemp(prefix="ipcbus-backlog-", dir=options.folder))
    os.environ["IPCBUS_HOME"] = str(home)
    network = networks.create("bench")
    try:
        found = _measure(network, options.messages, options.rounds)
    finally:
        if network.is_served():
            launch.stop(network, force=True)
        shutil.rmtree(home)
    print(f"written: {write('backlog', found)}")


def _measure(network: Network, messages: int, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {"messages": messages}
    info = launch.start(network)
    with ipcbus.connect("bench", agent="sender") as sender:
        for name in ("full", *(f"empty{at}" for at in range(rounds + 1))):
            ipcbus.connect("bench", agent=name).close()
        send(sender, "empty0", ROUND)
        before = rss_bytes(info.pid)
        took = send(sender, "full", messages)
        print(f"filled with {messages:,} in {took:.1f} s: {messages / took:,.0f}/s")
        full, empty = [], []
        for at in range(1, rounds + 1):
            full.append(ROUND / send(sender, "full", ROUND))
            empty.append(ROUND / send(sender, f"empty{at}", ROUND))
        found |= {"full_rates": full, "empty_rates": empty}
        ratio = figure(full).median / figure(empty).median
        print(f"send into the full one  {figure(full).text()} msg/s")
        print(
            f"send into an empty one  {figure(empty).text()} msg/s, ratio {ratio:.2f}"
        )
        found["rss_before"], found["rss_after"] = before, rss_bytes(info.pid)
        grown = (found["rss_after"] - before) / 2**20
        print(f"broker RSS {before / 2**20:.0f} MiB, grown by {grown:.1f} MiB")
    found["starts"] = _starts(network)
    found["lease_ack_us"] = _takes()
    return found


def send(sender: ipcbus.Client, to: str, count: int) -> float:
    """Send and wait for the receipts; the seconds it took."""
    began = time.monotonic()
    for _ in range(count):
        sender.submit(to, BODY)
    sender.flush(ANSWER_S)
    return time.monotonic() - began


def _starts(network: Network) -> dict[str, float]:
    """Seconds from nothing to ready."""
    launch.stop(network, timeout=60)
    began = time.monotonic()
    info = launch.start(network)
    clean = time.monotonic() - began
    os.kill(info.pid, signal.SIGKILL)
    began = time.monotonic()
    info = launch.start(network)
    killed = time.monotonic() - began
    rss = rss_bytes(info.pid) / 2**20
    print(f"start after a clean stop {clean:.3f} s, after kill -9 {killed:.3f} s")
    print(f"RSS after the start {rss:.0f} MiB")
    return {"clean_s": clean, "killed_s": killed, "rss_mib": rss}


def _takes() -> dict[str, float]:
    """Lease one message, ack it, wait for both."""
    times = []
    with ipcbus.connect("bench", agent="full") as client:
        for _ in range(TAKES):
            at = time.monotonic()
            (message,), _ = client.fetch(1, timeout=10)
            message.ack().result(10)
            times.append((time.monotonic() - at) * 1e6)
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    print(
        f"lease and ack p50 {p50:,.0f} us, p99 {p99:,.0f} us, worst {max(times):,.0f}"
    )
    return {"p50": p50, "p99": p99, "worst": max(times)}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
