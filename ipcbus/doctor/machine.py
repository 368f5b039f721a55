"""Checks of the machine: what is installed, the clock, the disk, the limits."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from ipcbus import networks
from ipcbus.doctor.rows import Row
from ipcbus.errors import IpcbusError
from ipcbus.networks import filesystem
from ipcbus.protocol.limits import MIB
from ipcbus.transport import keys
from ipcbus.units import show_size
from ipcbus.version import __version__

WANTED_FILES: Final = 65_536
FEW_FILES: Final = 1_024
"""Descriptors: one for each connection, and some for the store and libzmq."""

LITTLE_DISK: Final = 1024 * MIB
NO_DISK: Final = 64 * MIB
"""Free bytes. Below the first a busy day may fill it; below the second it is full."""

FIRST_LIBZMQ: Final = (4, 3, 3)
"""Older ones can be crashed or taken over from outside (CVE-2020-15166 and before)."""

FIRST_SQLITE: Final = (3, 51, 3)
"""Older ones can damage a database in WAL mode (sqlite.org/wal.html#walresetbug)."""

BUILT: Final = 1_750_000_000
"""Seconds since 1970: no clock that is right shows an earlier time (June 2025)."""


def check_python() -> Row:
    found = f"ipcbus {__version__}, Python {platform.python_version()}, {sys.platform}"
    if sys.platform != "linux":
        mend = "run brokers on Linux; elsewhere nothing is tested"
        return Row("python", "warn", found, mend)
    return Row("python", "ok", found)


def check_encryption() -> Row:
    number, curve = keys.libzmq()
    found = f"pyzmq {_installed('pyzmq')}, libzmq {number}"
    mend = "pip install --force-reinstall pyzmq"
    if not curve:
        return Row("encryption", "bad", f"{found} has no CURVE", mend)
    if _numbers(number) < FIRST_LIBZMQ:
        return Row("encryption", "bad", f"{found} has known holes", mend)
    return Row("encryption", "ok", f"{found}, CURVE")


def check_sqlite() -> Row:
    number = _installed("apsw")
    mend = "pip install --upgrade apsw"
    if not number:
        return Row("sqlite", "bad", "apsw is not installed: no broker can run", mend)
    if _numbers(number)[:3] < FIRST_SQLITE:
        return Row("sqlite", "bad", f"SQLite {number} can damage a database", mend)
    return Row("sqlite", "ok", f"SQLite {number} (apsw)")


def check_msgpack() -> Row:
    number = _installed("msgpack")
    if not number or _numbers(number) < (1, 2, 2):
        mend = "pip install --upgrade msgpack"
        return Row("msgpack", "bad", f"msgpack {number or 'is missing'}", mend)
    return Row("msgpack", "ok", f"msgpack {number}")


def check_clock() -> Row:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < BUILT:
        mend = "set the clock: timedatectl set-ntp true"
        return Row("clock", "bad", f"{shown} is long past: times to live are", mend)
    return Row("clock", "ok", shown)


def check_descriptors() -> Row:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= WANTED_FILES:
        shown = "no limit" if hard == resource.RLIM_INFINITY else str(hard)
        return Row("descriptors", "ok", shown)
    mend = f"raise it to {WANTED_FILES}: ulimit -Hn, or LimitNOFILE= of the service"
    found = f"at most {hard}, one for each connection"
    return Row("descriptors", "warn" if hard >= FEW_FILES else "bad", found, mend)


def check_home() -> Iterator[Row]:
    """IPCBUS_HOME, and the disk and file system that it is on."""
    home = networks.home()
    there = next(path for path in (home, *home.parents) if path.exists())
    if there == home:
        yield Row("home", "ok", str(home))
    elif there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield Row("home", "ok", f"{home} (made with the first network)")
    else:
        mend = "set IPCBUS_HOME to a folder of your own"
        yield Row("home", "bad", f"{home} cannot be made in {there}", mend)
    yield _filesystem(home)
    yield _disk(there)


def _disk(folder: Path) -> Row:
    """How much is free where `folder` is, for us (not for root)."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    shown = f"{show_size(free // MIB * MIB)} free at {folder}"
    mend = "make room, or set store_bytes and a shorter history"
    if free < NO_DISK or (found.f_files and not found.f_favail):
        return Row("disk", "bad", shown, mend)
    if free < LITTLE_DISK:
        return Row("disk", "warn", shown, mend)
    return Row("disk", "ok", shown)


def _filesystem(home: Path) -> Row:
    try:
        networks.check_filesystem(home)
    except IpcbusError as error:
        return Row(
            "file system",
            "bad",
            str(error),
            "set IPCBUS_HOME to a folder of a local disk",
        )
    return Row("file system", "ok", filesystem.kind(home))


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
