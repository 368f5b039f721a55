"""Settings files of other programs: read whole, and replaced in one step.

The tool may write its file at any time, and it is the user's. So the file is locked in
the way that Claude Code locks its own (a folder `FILE.lock`), looked at again, and
replaced by a rename; a reader finds the old text or the new one. A symbolic link stays:
the file that it leads to is replaced, if that is the user's own.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ipcbus.errors import ConfigError, IpcbusError

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes. Claude Code keeps more than settings in its file: some have 10 MiB."""

STALE_LOCK_S: Final = 30.0
"""Seconds after which the owner of a lock is dead. A live one touches it every five,
and calls it stale itself after ten."""

PRIVATE: Final = 0o600
SHARED: Final = 0o666
"""Modes of new files: the user's own, and those of a project, less the umask."""


class Found(NamedTuple):
    """A file as it was read.

    Attributes:
        path: as it was named.
        real: the file itself, where `path` is a symbolic link.
        data: None if there is no file.
        mode: of the file that is there.
    """

    path: Path
    real: Path
    data: bytes | None
    mode: int | None

    @property
    def is_link(self) -> bool:
        return self.path.is_symlink()


def read(path: Path) -> Found:
    """The file at `path`. Raises `ConfigError` for one that is not to be touched."""
    real = Path(os.path.realpath(path))
    try:
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise refusal(path, f"is a link to {real}, which is missing") from error
        return Found(path, real, None, None)
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        _check(path, found)
        with os.fdopen(fd, "rb", closefd=False) as file:
            return Found(path, real, file.read(), stat.S_IMODE(found.st_mode))
    finally:
        os.close(fd)


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise refusal(path, "is not a file")
    if found.st_uid != os.geteuid():
        raise refusal(path, f"belongs to another user (id {found.st_uid})")
    if found.st_size > MAX_FILE:
        raise refusal(path, f"is longer than {MAX_FILE} bytes")


def refusal(path: Path, reason: str, place: str = "the file") -> ConfigError:
    return ConfigError(file=str(path), path=place, reason=reason)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others that lock from writing `path`. Raises `IpcbusError` if one does."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        _make_folder(path)
        _take(lock)
    except FileExistsError as error:
        reason = f"{path} is being written by another program ({lock} is there)"
        raise IpcbusError(reason=f"{reason}; nothing was changed") from error
    except OSError as error:
        raise refusal(path, f"cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        remove_folder(lock)


def _make_folder(path: Path) -> None:
    """Of the file. Raises `ConfigError` if something else stands in its place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise refusal(
            path, f"{path.parent} is no folder; nothing was changed"
        ) from error


def _take(lock: Path) -> None:
    try:
        lock.mkdir()
    except FileExistsError:
        if time.time() - lock.stat().st_mtime < STALE_LOCK_S:
            raise
        lock.rmdir()
        lock.mkdir()


def check_unchanged(found: Found) -> None:
    """Raises `IpcbusError` if the file is not as it was read."""
    if read(found.path) != found:
        reason = f"{found.path} was changed by another program in the meantime"
        raise IpcbusError(reason=f"{reason}; nothing was changed, try again")


def replace(found: Found, data: bytes, mode: int) -> None:
    """Write `data` in the place of what was found; `mode` is for a new file."""
    try:
        write(found.real, data, mode, exactly=found.mode)
    except OSError as error:
        raise refusal(found.path, f"cannot be written: {error.strerror}") from error


def keep(path: Path, data: bytes) -> None:
    """Write a backup, which only the user can read: settings hold secrets."""
    try:
        write(path, data, PRIVATE, exactly=PRIVATE)
    except OSError as error:
        raise refusal(path, f"cannot be written: {error.strerror}") from error


def write(path: Path, data: bytes, mode: int, *, exactly: int | None = None) -> None:
    """Write a file in one step, with `mode` less the umask, or `exactly` a mode."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
            if exactly is not None:
                os.fchmod(file.fileno(), exactly)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file."""
    try:
        path.unlink()
        _sync(path.parent)
    except OSError as error:
        raise refusal(path, f"cannot be removed: {error.strerror}") from error


def remove_folder(path: Path) -> None:
    """Remove a folder if it is empty."""
    try:
        path.rmdir()
    except OSError:
        return


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
