"""A program that behaves towards its starter as a broker does, and serves nothing.

    python standin.py HOW NETWORK

serve: lock, broker.json, ready, then wait for SIGTERM.
deaf: serve, but ignore SIGTERM.   mute: neither lock nor line.   die: exit 3 at once.
refuse: say that the database is damaged.   env: its environment and cwd as a refusal.
crash: serve, then die by SIGKILL.   port: the port is in use.   leave: serve, exit 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from ipcbus import errors, networks
from ipcbus.transport import launch


def main(how: str, name: str) -> int:
    if how == "die":
        return 3
    try:
        return _refuse_or_serve(how, networks.find(name))
    except errors.IpcbusError as error:
        os.write(1, launch.ready_line(error))
        return error.exit_code


def _refuse_or_serve(how: str, network: networks.Network) -> int:
    if how == "refuse":
        raise errors.DamagedDatabase(path="bus.db", reason="page 3 is torn")
    if how == "port":
        network.save(network.saved()._replace(port=9876))  # as one that had it would
        raise errors.PortInUse(endpoint="tcp://127.0.0.1:9876")
    if how == "env":
        facts = {"env": dict(os.environ), "cwd": str(Path.cwd()), "path": sys.path}
        raise errors.CannotServe(reason=json.dumps({**facts, "sid": os.getsid(0)}))
    if how == "mute":
        return _wait(network, None)
    lock = network.lock(0.2)
    info = networks.this_broker(network.name, "tcp://127.0.0.1:1", "", 1, plain=True)
    network.write_broker_info(info)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # caught by _wait
    os.write(1, launch.ready_line(info))
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        signal.pause()
    return 0 if how == "leave" else _wait(network, lock)


def _wait(network: networks.Network, lock: int | None) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.sigwait([signal.SIGTERM])
    if lock is not None:
        network.remove_broker_info()
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
