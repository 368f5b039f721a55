"""Networks of a benchmark: made in a folder of their own, their brokers measured."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.bus import QUIET_CPU, QUIET_S
from benchmarks.workers import cpu_s, rss_bytes
from ipcbus import networks
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch

MIB: Final = 2**20
STOP_S: Final = 60.0


class Place:
    """A home for networks; when it ends, so do their brokers, and it is removed."""

    def __init__(self, folder: Path | None = None) -> None:
        self._home = tempfile.mkdtemp(prefix="ipcbus-curves-", dir=folder)
        self._networks: dict[str, Network] = {}
        os.environ["IPCBUS_HOME"] = self._home

    def serve(self, name: str, **settings: Any) -> None:
        """Make a network and start its broker."""
        network = self._networks[name] = networks.create(name)
        network.save(networks.Saved(settings=settings))
        launch.start(network)

    def start(self, name: str) -> float:
        """Seconds until its broker can be connected to."""
        began = time.monotonic()
        launch.start(self._networks[name], wait_s=60)
        return time.monotonic() - began

    def stop(self, name: str) -> None:
        launch.stop(self._networks[name], timeout=STOP_S)

    def kill(self, name: str) -> None:
        """As a power cut would; returns when it is dead."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        while self._networks[name].is_served():
            time.sleep(0.005)

    def pid(self, name: str) -> int:
        return info_of(name).pid

    def rss_mib(self, name: str) -> float:
        return rss_bytes(self.pid(name)) / MIB

    def cpu_s(self, name: str) -> float:
        return cpu_s(self.pid(name))

    def idle_share(self, names: list[str], seconds: float) -> list[float]:
        """Of a processor, what each broker uses in the next seconds."""
        before = [self.cpu_s(name) for name in names]
        time.sleep(seconds)
        after = [self.cpu_s(name) for name in names]
        return [(b - a) / seconds for a, b in zip(before, after, strict=True)]

    def settle(self, most_s: float = 60.0) -> None:
        """Wait until brokers have indexed what came: what follows has the machine."""
        names = [
            name for name, network in self._networks.items() if network.is_served()
        ]
        end = time.monotonic() + most_s
        while time.monotonic() < end:
            if sum(self.idle_share(names, QUIET_S)) < QUIET_CPU:
                return

    def stored_bytes(self, name: str) -> int:
        """Of the database's file, without what is still in its log."""
        return self._networks[name].database.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for network in self._networks.values():
            if network.is_served():
                launch.stop(network, timeout=5, force=True)
        shutil.rmtree(self._home)


def info_of(name: str) -> BrokerInfo:
    info = networks.find(name).broker_info()
    assert info is not None, f"nobody serves {name}"
    return info
