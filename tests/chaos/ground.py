"""Where a chaos run takes place: a home of its own, a small disk if that can be
mounted, a network with its fleet; and all of it taken away again at the end."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ipcbus import networks
from ipcbus.errors import NoBroker
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.chaos import fleet
from tests.chaos.faults import MIB, World
from tests.waiting import until

DISK = 64 * MIB
STORE = 16 * MIB
"""What the network may have instead: all of it must be filled by messages."""


@contextmanager
def world(
    home: Path,
    scratch: Path,
    seed: int,
    size: fleet.Size,
    *,
    small: bool = True,
) -> Iterator[World]:
    """`home` is what IPCBUS_HOME says, and empty; `small`: its disk shall be."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(home)) if small else None
        network = networks.create("chaos")
        if small and disk is None:
            saved = network.saved()
            network.save(saved._replace(settings={"store_bytes": STORE}))
        launch.start(network, wait_s=60)
        stack.callback(end_brokers, network)
        crew = stack.enter_context(fleet.fleet(network, scratch, size))
        yield World(network, crew, scratch, random.Random(seed), disk)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """`folder` as a file system of its own; None if we may not mount."""
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={DISK},mode=0700",
        "tmpfs",
        str(folder),
    ]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def end_brokers(network: Network) -> None:
    """Also one that a client, ended a moment ago, had just begun."""
    began = time.monotonic()

    def quiet() -> bool:
        with suppress(NoBroker):
            launch.stop(network, timeout=10, force=True)
            return False
        return not network.is_served() and time.monotonic() > began + 1

    until(quiet, "no broker is left", 60)
