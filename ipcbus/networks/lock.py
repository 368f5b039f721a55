"""Locks that the kernel releases when their holder dies, however it dies.

The broker's lock is a flock on the network's folder itself. A lock *file* can be
removed and made again, and then two hold "it"; fcntl locks vanish when anything in
the process closes the file; a port or a pid file proves nothing.

Descriptors are never inherited by a program that is started, so no child can keep
a lock that its parent gave up.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ipcbus.errors import NoBroker, UnsafeFolder

RETRY_S: Final = 0.01
"""Seconds between two attempts: flock can wait for ever, but not with a bound."""


def take(folder: Path, wait_s: float) -> int | None:
    """A descriptor that holds the lock of `folder`, or None if another holds it."""
    deadline = time.monotonic() + wait_s
    while True:
        fd = _open_folder(folder)
        if _try(fd, fcntl.LOCK_EX) and _is_still(folder, fd):
            return fd
        os.close(fd)
        if time.monotonic() >= deadline:
            return None
        time.sleep(RETRY_S)


def is_taken(folder: Path) -> bool:
    """Whether somebody holds the lock at this moment.

    Asked for with a shared lock, so that two who ask do not see each other. For an
    instant it keeps out a broker that is starting, which is why `take` tries again.
    """
    fd = _open_folder(folder)
    try:
        return not _try(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


@contextmanager
def starter(path: Path, network: str, wait_s: float) -> Iterator[None]:
    """Hold `path` while starting a broker, so that of many clients one starts it.

    Raises `NoBroker` if another client does not get done within `wait_s`.
    """
    fd = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + wait_s
        while not _try(fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise NoBroker(
                    network=network,
                    reason=f"another program has been starting it for {wait_s:g} s",
                )
            time.sleep(RETRY_S)
        yield
    finally:
        os.close(fd)


def _open_folder(folder: Path) -> int:
    return _open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnsafeFolder(
            path=str(path),
            reason=f"cannot be locked: {error.strerror}",
            mend="see that it is a folder of your own",
        ) from error


def _try(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(folder: Path, fd: int) -> bool:
    """Whether `folder` is what was opened: it may have been replaced meanwhile."""
    try:
        now = folder.lstat()
    except OSError:
        return False
    opened = os.fstat(fd)
    return (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino)
