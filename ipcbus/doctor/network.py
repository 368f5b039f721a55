"""Checks of one network's folder and of who serves it.

Nothing is changed: also the lock is only held while an unserved database is read, so
that no broker starts on it meanwhile.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipcbus.config import settings_from
from ipcbus.doctor.rows import Row
from ipcbus.networks import MEMORY, VOLATILE, Network, check_folder, files, lock
from ipcbus.transport import keys

CONNECT_S: Final = 1.0
AHEAD_S: Final = 5.0
"""Seconds by which a file may be newer than the clock: coarse file times, and NTP."""

LEFT_S: Final = 60.0
"""Age at which a temporary file is one that nobody is writing any more."""

_TEMPORARY: Final = re.compile(r"\..+\.[0-9]+\.[0-9a-f]{8}|bus\.db\.restored(-.*)?")


def check_folders(network: Network) -> Row:
    """Owner and mode of every folder and file of the network."""
    for folder in (network.folder, network.keys, network.log.parent):
        if folder.exists() or folder.is_symlink():
            check_folder(folder)
    for path, found in _files(network):
        if stat.S_ISREG(found.st_mode):
            files.check_owner(path, found)
    return Row(_name(network, "folder"), "ok", f"{network.folder}: yours alone")


def check_settings(network: Network) -> Row:
    """network.json can be read, and every setting in it."""
    saved = network.saved()
    settings_from(saved.settings, file=str(network.folder / "network.json"))
    if saved.remote is not None:
        return Row(_name(network, "settings"), "ok", f"joined, at {saved.remote}")
    told = ", plain: whoever connects is believed" if saved.plain else ""
    told += f", {VOLATILE}" if saved.store == MEMORY else ""
    changed = ", ".join(f"{key}={text}" for key, text in saved.settings.items())
    found = (
        f"{saved.host}:{saved.port or 'any free port'}{told}; {changed or 'defaults'}"
    )
    return Row(_name(network, "settings"), "ok", found)


def check_broker(network: Network) -> Row:
    """The lock, and what broker.json says of its holder."""
    name = _name(network, "broker")
    info = network.broker_info()
    if not network.is_served():
        if info is None:
            found = "nobody serves it; the first client starts a broker"
            return Row(name, "ok", found)
        found = f"process {info.pid} ended without a clean stop; nobody serves it"
        return Row(name, "warn", found, f"the next broker recovers; see {network.log}")
    if info is None:
        mend = f"look again in a few seconds; if it stays so, see {network.log}"
        return Row(name, "warn", "it is starting or ending: not reachable yet", mend)
    if not info.is_alive():
        found = (
            f"the lock's holder says it is process {info.pid}, which is not seen here"
        )
        mend = "look in the container that runs it"
        return Row(name, "warn", found, mend)
    found = f"process {info.pid} serves {info.endpoint}, epoch {info.epoch}"
    return Row(name, "ok", found)


def check_port(network: Network) -> Row:
    """That the broker's port answers, or that the next broker can have its port."""
    name = _name(network, "port")
    info = network.broker_info() if network.is_served() else None
    if info is not None:
        host, _, port = info.endpoint.removeprefix("tcp://").rpartition(":")
        return _answers(name, host.strip("[]"), int(port))
    saved = network.saved()
    if saved.remote is not None:
        host, _, port = saved.remote.removeprefix("tcp://").rpartition(":")
        return _answers(name, host.strip("[]"), int(port))
    return _is_free(name, saved.host, saved.port)


def check_keys(network: Network) -> Iterator[Row]:
    """Every key can be read by us and by nobody else, and is a key."""
    name = _name(network, "keys")
    saved = network.saved()
    needed = [network.operator_key] if saved.remote is None else []
    if needed and not saved.plain:
        needed.append(network.server_key)
    there = [
        path for path in (network.operator_key, network.server_key) if path.exists()
    ]
    agents = sorted(network.keys.glob("*.key")) if network.keys.is_dir() else []
    for path in (*there, *agents):
        keys.load(path)
    missing = [path.name for path in needed if not path.exists()]
    if missing and network.database.exists():
        # A broker would make new ones, and nobody who knew the old would be let in.
        found = f"{' and '.join(missing)} missing, but there is a database"
        yield Row(
            name, "bad", found, "restore them from a backup before the next start"
        )
    elif missing:
        yield Row(name, "ok", "made when the first broker starts")
    else:
        yield Row(name, "ok", f"{len(there)} of the network, {len(agents)} of agents")


def check_database(network: Network) -> Row:
    """All pages of the database, if no broker has it open."""
    name = _name(network, "database")
    if not network.database.exists():
        return Row(name, "ok", "made when the first broker starts")
    fd = lock.take(network.folder, 0.0)
    if fd is None:
        return Row(name, "ok", "its broker looks after it: ipcbus status")
    try:
        # Here and not above: without it all other checks still work.
        from ipcbus.store.sqlite.offline import inspect

        facts = inspect(network.database)
    except ImportError as error:
        return Row(name, "bad", f"it cannot be read: {error}", "pip install apsw")
    finally:
        os.close(fd)
    shown = ", ".join(f"{key} {text}" for key, text in facts.items())
    if network.saved().store == MEMORY and (facts["waiting"] or facts["dead"]):
        # Of when it was durable, if network.json was edited by hand.
        found = f"mail that a volatile broker would not show, so none starts: {shown}"
        return Row(
            name, "bad", found, f"ipcbus up --network {network.name} --store durable"
        )
    return Row(name, "ok", f"every page is whole: {shown}")


def check_times(network: Network) -> Row:
    """That the clock has not been set back since something was written here."""
    name = _name(network, "clock")
    newest = max((found.st_mtime for _, found in _files(network)), default=0.0)
    ahead = newest - time.time()
    if ahead > AHEAD_S:
        found = f"a file was written {ahead:.0f} s from now: the clock was set back"
        return Row(name, "warn", found, "set the clock: timedatectl set-ntp true")
    return Row(name, "ok", "no file is newer than now")


def check_leftovers(network: Network) -> Row:
    """Temporary files of a process that was killed while it wrote one."""
    old = time.time() - LEFT_S
    left = [
        path
        for path, found in _files(network)
        if _TEMPORARY.fullmatch(path.name) and found.st_mtime < old
    ]
    name = _name(network, "leftovers")
    if not left:
        return Row(name, "ok", "none")
    names = " ".join(str(path) for path in left)
    return Row(name, "warn", f"{len(left)} half-written", f"rm -- {names}")


def _answers(name: str, host: str, port: int) -> Row:
    host = "127.0.0.1" if host in ("*", "0.0.0.0") else host  # noqa: S104  (compared)
    try:
        with socket.create_connection((host, port), CONNECT_S):
            return Row(name, "ok", f"{host}:{port} answers")
    except OSError as error:
        found = f"{host}:{port} does not answer: {error.strerror or 'in time'}"
        return Row(name, "bad", found, "ipcbus down --force, then send something")


def _is_free(name: str, host: str, port: int) -> Row:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As libzmq does: a port that only lingers after a broker's end is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return _taken(name, host, port, error)
    return Row(name, "ok", f"{host}:{port} is free" if port else "any free one")


def _taken(name: str, host: str, port: int, error: OSError) -> Row:
    if error.errno == errno.EADDRINUSE:
        found = f"{host}:{port} is in use by another program"
        mend = (
            f"find it: ss -ltnp 'sport = :{port}', or take another: ipcbus up --port 0"
        )
        return Row(name, "bad", found, mend)
    found = f"{host}:{port} cannot be had: {error.strerror}"
    return Row(
        name, "bad", found, "choose another: ipcbus up --host 127.0.0.1 --port 0"
    )


def _files(network: Network) -> Iterator[tuple[Path, os.stat_result]]:
    """All files of the network; a broker makes and removes some meanwhile."""
    for path in network.folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            yield path, found


def _name(network: Network, what: str) -> str:
    return f"{network.name}: {what}"
