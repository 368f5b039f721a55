"""The file that each door for old programs leaves while it runs: where, and who it is.

One that was killed leaves it behind. So a process is believed to be the door only if it
is that very process, not another that has got its number since.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ipcbus.errors import IpcbusError
from ipcbus.networks import Network, files
from ipcbus.networks.process import boot_id, is_same, started

FOLDER: Final = "claude-ipc"
_NAME: Final = re.compile(r"door-([0-9]{1,5})\.json")


class Mark(NamedTuple):
    """`is_running`: whether its process lived when it was looked at."""

    path: Path
    port: int
    pid: int
    is_running: bool


def leave(network: Network, port: int) -> Path:
    """That this process is the door on `port`."""
    path = network.folder / FOLDER / f"door-{port}.json"
    pid = os.getpid()
    mark = {"pid": pid, "started": started(pid), "boot_id": boot_id()}
    files.write_object(path, mark)
    return path


def found(network: Network) -> Iterator[Mark]:
    """Those of a network, by port."""
    by_port = {}
    for path in (network.folder / FOLDER).glob("door-*.json"):
        if name := _NAME.fullmatch(path.name):
            by_port[int(name[1])] = path
    for port, path in sorted(by_port.items()):
        with contextlib.suppress(IpcbusError, KeyError, TypeError, ValueError):
            if (mark := files.read_object(path)) is not None:
                pid = int(mark["pid"])
                alive = is_same(pid, mark["started"], mark["boot_id"])
                yield Mark(path, port, pid, alive)
