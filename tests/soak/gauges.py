"""What is measured every few seconds, of each process and of the whole."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.figures import percentile
from benchmarks.workers import TICKS, cpu_s
from ipcbus.errors import IpcbusError
from tests.bridges.town import DEV, PROD
from tests.faults.crew import alive, rss_bytes
from tests.soak.city import City, waiting
from tests.soak.slopes import Point
from tests.soak.story import Times

MIB: Final = 1024 * 1024


class Gauge(NamedTuple):
    """A curve. `bound`: how much it may rise in an hour, or None if it is told and not
    judged; `most`: what it may never reach. `quantum`: steps that mean nothing.
    `lives`: it is of a process, and begins anew with it. `crowds`: it says as much of
    others who use the machine as of us."""

    label: str
    unit: str
    quantum: float
    bound: float | None = None
    most: float | None = None
    lives: bool = False
    crowds: bool = False
    why: str = ""


def _memory(who: str) -> Gauge:
    """The allocator takes memory in steps, and gives none back: a backlog that is a
    little longer than all before, at a takeover, is a MiB for ever."""
    return Gauge(
        who, "MiB", 1.0, 1.0, lives=True, why="3.6 million messages: 0.3 bytes each"
    )


def _descriptors(who: str) -> Gauge:
    return Gauge(
        who, "descriptors", 1.0, 2.0, lives=True, why="fewer than one a reconnection"
    )


def _time(label: str, bound: float) -> Gauge:
    why = "slower by so much would be felt"
    return Gauge(label, "ms", 1.0, bound, crowds=True, why=why)


WHO: Final = {
    "dev": "broker of dev",
    "prod": "broker of prod",
    "bridge": "bridge",
    "client": "client, never killed",
}

GAUGES: Final[dict[str, Gauge]] = {
    **{f"rss {name}": _memory(who) for name, who in WHO.items()},
    **{f"fds {name}": _descriptors(who) for name, who in WHO.items()},
    "wal dev": Gauge("WAL of dev", "MiB", 0.5, most=64.0),
    "wal prod": Gauge("WAL of prod", "MiB", 0.5, most=64.0),
    "db dev": Gauge("database of dev, history 1 min", "MiB", 1.0),
    "db prod": Gauge("database of prod, history 7 d", "MiB", 1.0),
    "accepted p50": _time("send to accepted p50", 5.0),
    "accepted p99": _time("send to accepted p99", 50.0),
    "near p50": _time("send to receive p50", 5.0),
    "near p99": _time("send to receive p99", 50.0),
    "far p50": _time("over the bridge p50", 20.0),
    "far p99": _time("over the bridge p99", 100.0),
    "answered p50": _time("request to answer p50", 20.0),
    "answered p99": _time("request to answer p99", 100.0),
    "backlog": Gauge(
        "waiting or leased",
        "messages",
        50.0,
        100.0,
        crowds=True,
        why="what is not read would pile up",
    ),
    "unindexed": Gauge(
        "not indexed yet",
        "messages",
        500.0,
        2000.0,
        crowds=True,
        why="no search finds them",
    ),
    "rate": Gauge("sent", "messages/s", 10.0),
    "others": Gauge("used by others", "% of the machine", 5.0),
}


class Sample(NamedTuple):
    """`at`: seconds since the beginning. `lives`: the pid of each process."""

    at: float
    values: dict[str, float]
    lives: dict[str, int]


class Probe:
    """Takes the samples of a city."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._began = self._at = time.monotonic()
        self._sent = 0
        self._cpu: dict[int, float] = {}
        self._machine = 0.0
        self.sample()  # from here on they count

    def sample(self) -> Sample:
        city = self._city
        city.listen()
        now = time.monotonic()
        lives = self._lives()
        values = {
            **_of_processes(lives),
            **self._stores(),
            **latencies(city.story.pop_times()),
            "rate": self._rate(now),
            "others": self._others(now, lives),
        }
        self._at = now
        return Sample(now - self._began, values, lives)

    def _lives(self) -> dict[str, int]:
        found = {
            "bridge": self._city.bridge.pid,
            "client": self._city.citizens[DEV][0].process.pid,
        }
        for name in (DEV, PROD):
            info = alive(self._city.networks[name])
            if info is not None:
                found[name] = info.pid
        return found

    def _stores(self) -> dict[str, float]:
        """Sizes of files, and what waits in both networks."""
        found = {}
        for name, network in self._city.networks.items():
            for what, path in (("db", "bus.db"), ("wal", "bus.db-wal")):
                file = network.folder / path
                if file.exists():
                    found[f"{what} {name}"] = file.stat().st_size / MIB
        try:
            told = [self._city.status(name) for name in self._city.networks]
        except IpcbusError:  # nobody serves at this moment
            return found
        found["backlog"] = sum(map(waiting, told))
        found["unindexed"] = sum(one["store"]["unindexed"] for one in told)
        return found

    def _rate(self, now: float) -> float:
        sent = self._city.story.counts["ok"]
        before, self._sent = self._sent, sent
        return (sent - before) / max(now - self._at, 0.001)

    def _others(self, now: float, lives: Mapping[str, int]) -> float:
        """What processes that are not ours have used, so that a latency that rises
        with their load is seen for what it is."""
        ours = [os.getpid(), *lives.values()]
        ours += [one.process.pid for one in self._city.members]
        before, self._cpu = self._cpu, {pid: _cpu(pid) for pid in set(ours)}
        mine = sum(used - before.get(pid, used) for pid, used in self._cpu.items())
        was, self._machine = self._machine, _machine_s()
        whole = max(now - self._at, 0.001) * (os.cpu_count() or 1)
        return max(0.0, 100 * (self._machine - was - mine) / whole)


def _of_processes(lives: Mapping[str, int]) -> dict[str, float]:
    found = {}
    for name, pid in lives.items():
        try:
            count = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            found[f"rss {name}"] = rss_bytes(pid) / MIB
            found[f"fds {name}"] = count
        except OSError:
            continue  # it was killed at this moment
    return found


def latencies(times: Times) -> dict[str, float]:
    """Milliseconds."""
    found = {}
    for name, values in vars(times).items():
        if values:
            found[f"{name} p50"] = percentile(values, 0.5) * 1000
            found[f"{name} p99"] = percentile(values, 0.99) * 1000
    return found


def _cpu(pid: int) -> float:
    try:
        return cpu_s(pid)
    except OSError:
        return 0.0


def _machine_s() -> float:
    """Seconds of processor that were used by anybody."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, soft = map(int, fields[:7])
    return (user + nice + system + irq + soft) / TICKS


BEGINS_WITH: Final = {
    "dev": ("dev",),
    "prod": ("prod",),
    "bridge": ("bridge", "dev", "prod"),
    "client": ("client", "dev"),
}
"""Processes with each of which the life of one begins anew. At a takeover a client is
sent all that has piled up: its memory keeps the height of the largest pile, which is no
slope. That many takeovers cost no more than one is for `test_takeovers` to see."""


def points(samples: Sequence[Sample], name: str) -> list[Point]:
    """The curve of a gauge."""
    who = name.partition(" ")[2]
    with_whom = BEGINS_WITH[who] if GAUGES[name].lives else ()
    return [
        Point(one.at, one.values[name], hash(tuple(map(one.lives.get, with_whom))))
        for one in samples
        if name in one.values
    ]
