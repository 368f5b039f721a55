"""A broker as it must not be: `python loose_broker.py HOW FILE NETWORK`.

lockless: takes no lock, neither of the folder nor of the database. What keeps two of
them apart is the epoch alone.

fork, exec: has started a child when it says that it is ready: a copy of itself, or
another program to which it hands on what can be inherited. The child's pid is in FILE.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from ipcbus import networks
from ipcbus.networks import BrokerInfo, lock
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport import launch, serve


def _take(folder: Path, wait_s: float) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _child(how: str) -> int:
    if how == "exec":
        return subprocess.Popen(["/bin/sleep", "600"], close_fds=False).pid
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid


def main(how: str, file: str, name: str) -> int:
    if how == "lockless":
        lock.take = _take
        serve.SqliteStore = functools.partial(SqliteStore, exclusive=False)  # type: ignore[attr-defined,assignment]
        return serve.main([name])

    def ready(info: BrokerInfo) -> None:
        Path(file).write_text(str(_child(how)))
        os.write(1, launch.ready_line(info))

    return serve.run(networks.find(name), ready=ready)


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
