"""Folders and files that only their owner can read or write.

A folder of mode 0700 is made first and everything is put into it, so a file that
some library creates with a generous umask is still out of reach of other users.
A folder that is somebody else's, is open to others or is a symbolic link is
refused and never repaired: whoever opened it may have read or placed what is in it.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from ipcbus.errors import StaleFile, UnsafeFolder

MAX_FILE: Final = 64 * 1024
"""Bytes of a file read whole. Ours are under 4 KiB; more is not ours."""

_OTHERS: Final = 0o077


def check_folder(path: Path) -> None:
    """Raises `UnsafeFolder` unless `path` is a folder of ours with mode 0700."""
    try:
        found = path.lstat()
    except OSError as error:
        raise unusable(path, "cannot be looked at", error) from error
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeFolder(
            path=str(path),
            reason="is a symbolic link, so what it points to can be swapped",
            mend="replace it by the folder itself, or set IPCBUS_HOME to that place",
        )
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolder(
            path=str(path), reason="is not a folder", mend="move it out of the way"
        )
    check_owner(path, found)


def check_owner(path: Path, found: os.stat_result) -> None:
    """Raises `UnsafeFolder` if another user owns `path` or may read or write it."""
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(
            path=str(path),
            reason=f"belongs to user id {found.st_uid}, and you are {os.geteuid()}",
            mend="use it as that user, or set IPCBUS_HOME to a folder of your own",
        )
    if found.st_mode & _OTHERS:
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise UnsafeFolder(
            path=str(path),
            reason=f"others may use it (mode {stat.S_IMODE(found.st_mode):04o})",
            mend=f"chmod {wanted} {path}",
        )


def make_folder(path: Path) -> None:
    """Make `path` with mode 0700, or check the one that is there."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise unusable(path, "cannot be made", error) from error
    check_folder(path)


def read_private(path: Path) -> bytes | None:
    """What `path` holds, None if it is missing. Raises `UnsafeFolder`, `StaleFile`.

    Owner and mode are those of the open file: what was checked is what is read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, "cannot be opened", error) from error
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        check_owner(path, found)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:
            raise StaleFile(
                path=str(path), reason="is not a file of ipcbus", mend="move it away"
            )
        return file.read(MAX_FILE)


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, None if it is missing. Raises as `read_private`."""
    data = read_private(path)
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _not_json(path) from error
    if not isinstance(value, dict):
        raise _not_json(path)
    return value


def write_private(path: Path, data: bytes, *, replace: bool = True) -> bool:
    """Write `data` so that a reader, or a power cut, finds all of it or none.

    With `replace=False` a file that is there stays, and the answer is False; of two
    writers at once exactly one gets True.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write_new(temporary, data)
        try:
            written = _put(temporary, path, replace)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, "cannot be written", error) from error
    return written


def write_object(path: Path, value: dict[str, Any], *, replace: bool = True) -> bool:
    """`write_private` of a JSON object, for people to read: one field a line."""
    return write_private(
        path, json.dumps(value, indent=1).encode() + b"\n", replace=replace
    )


def _write_new(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(temporary: Path, path: Path, replace: bool) -> bool:
    if replace:
        temporary.rename(path)
        return True
    try:
        path.hardlink_to(temporary)  # unlike a rename, this refuses to overwrite
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def unusable(path: Path, what: str, error: OSError) -> UnsafeFolder:
    """A file or folder that the system does not let us use, as an error of ours."""
    return UnsafeFolder(
        path=str(path),
        reason=f"{what}: {error.strerror}",
        mend="see to that, or set IPCBUS_HOME to a folder of your own",
    )


def _not_json(path: Path) -> StaleFile:
    return StaleFile(
        path=str(path), reason="does not hold a JSON object", mend="move it away"
    )
