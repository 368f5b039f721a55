"""Old programs of claude-ipc through the door: `python -m benchmarks.old_clients`.

Each request is a connection of its own, as old programs have it: connect, one send, one
recv, close. Programs are processes, as they are in life, each with one request at a
time. First as fast as they can; then 1,000 requests a second in all, where a request
counts from when it was due, so that one that is late makes the next ones late, too.

    send        a message that is on disk when it is answered
    check       of an empty mailbox
    exchange    a send to oneself, and the check that brings it, in turns
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import figure, percentile, table, write
from ipcbus import networks
from ipcbus.transport import launch

KINDS = ("send", "check", "exchange")
AIM = 1000
"""Requests a second in all."""

HEADS = (
    "old clients",
    "most req/s",
    "p50 ms",
    "p99 ms",
    f"at {AIM}/s: req/s",
    "p50 ms",
    "p99 ms",
)
BODY = "x" * 100
BUFFER = 65536


class Round(NamedTuple):
    """Requests a second, and their milliseconds."""

    rate: float
    times: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.old_clients")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", type=int, default=4)
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        work(*given.worker)
        return
    home = tempfile.mkdtemp(prefix="ipcbus-old-", dir="/tmp")
    os.environ["IPCBUS_HOME"] = home
    # Users have compiled files; a developer's shell may forbid to write them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    network = networks.create("bench")
    launch.start(network)
    door, port = open_door(Path(home))
    try:
        found = measure(port, given)
    finally:
        door.send_signal(signal.SIGTERM)
        door.wait(30)
        launch.stop(network, force=True)
        shutil.rmtree(home)
    print(show(found))
    print(
        "\nMedians of the rounds, in brackets the lowest and the highest; times of all "
        f"rounds together. {given.programs} programs."
    )
    print(f"\nwritten: {write('old-clients', {'kinds': summary(found)})}")


def open_door(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    words = ("bridge", "claude-ipc", "bench", "--port", "0", "--rate", "0")
    door = subprocess.Popen(
        [sys.executable, "-u", "-m", "ipcbus", *words],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert door.stdout is not None
    for line in door.stdout:
        if b": running" in line:
            return door, int(line.partition(b":")[2].partition(b")")[0])
    raise SystemExit("the door did not start")


Found = dict[str, dict[str, list[Round]]]


def measure(port: int, given: argparse.Namespace) -> Found:
    found: Found = {kind: {"most": [], "aim": []} for kind in KINDS}
    for at in range(given.rounds + 1):
        for kind, rounds in found.items():
            for name, rate in (("most", 0.0), ("aim", AIM / given.programs)):
                seconds = given.seconds if at else min(0.5, given.seconds)
                made = one_round(port, kind, given.programs, seconds, rate)
                if at:  # the first touch of everything does not count
                    rounds[name].append(made)
    return found


def one_round(
    port: int, kind: str, programs: int, seconds: float, rate: float
) -> Round:
    """All programs begin at once; each says its times when it has ended."""
    command = [sys.executable, "-m", "benchmarks.old_clients", "--worker"]
    running = [
        subprocess.Popen(
            [*command, str(port), f"old-{number}", kind, str(seconds), str(rate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        for number in range(programs)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()  # it is ready
    for one in running:
        assert one.stdin is not None
        one.stdin.write(b"go\n")
        one.stdin.flush()
    told = [json.loads(one.communicate()[0]) for one in running]
    times = [ms for one in told for ms in one["ms"]]
    return Round(sum(len(one["ms"]) / one["seconds"] for one in told), times)


# --- one program ---------------------------------------------------------------------


def work(port: str, name: str, kind: str, seconds: str, rate: str) -> None:
    at = int(port)
    register = {"action": "register", "instance_id": name, "auth_token": ""}
    token = ask(at, register)["session_token"]
    send = {
        "action": "send",
        "from_id": name,
        "to_id": name if kind == "exchange" else f"{name}-box",
        "message": {"content": BODY},
        "session_token": token,
    }
    check = {"action": "check", "instance_id": name, "session_token": token}
    if kind == "send":
        ask(at, {**register, "instance_id": f"{name}-box"})
    requests = {"send": [send], "check": [check], "exchange": [send, check]}[kind]
    times: list[float] = []
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    every = 1 / float(rate) if float(rate) else 0.0
    while (now := time.monotonic()) < begun + float(seconds):
        due = begun + len(times) * every if every else now
        if due > now:
            time.sleep(due - now)
        answer = ask(at, requests[len(times) % len(requests)])
        assert answer["status"] == "ok", answer
        times.append((time.monotonic() - due) * 1000)
    print(json.dumps({"ms": times, "seconds": time.monotonic() - begun}))


def ask(port: int, request: dict[str, Any]) -> dict[str, Any]:
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        sock.sendall(json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(sock.recv(BUFFER))
    return answer


# --- what is shown -------------------------------------------------------------------


def show(found: Found) -> str:
    rows = []
    for kind, rounds in found.items():
        cells = [kind]
        for name in ("most", "aim"):
            times = [ms for one in rounds[name] for ms in one.times]
            cells.append(figure([one.rate for one in rounds[name]]).text())
            cells += [f"{percentile(times, share):.1f}" for share in (0.5, 0.99)]
        rows.append(cells)
    return table(HEADS, rows)


def summary(found: Found) -> dict[str, Any]:
    return {
        kind: {
            name: [
                {
                    "rate": one.rate,
                    "p50_ms": percentile(one.times, 0.5),
                    "p99_ms": percentile(one.times, 0.99),
                    "requests": len(one.times),
                }
                for one in rounds
            ]
            for name, rounds in each.items()
        }
        for kind, each in found.items()
    }


if __name__ == "__main__":
    main()
