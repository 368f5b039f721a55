"""Run a command on a FUSE file system: `python on_fuse.py FOLDER COMMAND...`, as root.

In a mount namespace of its own, so that the mount goes with this process. It is a small
file system: one folder, `networks`, that is empty, private, and cannot be written. The
numbers are those of linux/fuse.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import subprocess
import sys
import threading

NEW_MOUNTS = 0x20000
PRIVATE = 0x4000 | 1 << 18
NO_SUID_NO_DEV = 6

FORGET, BATCH_FORGET = 2, 42
"""Requests that nobody answers."""

_ROOT, _NETWORKS = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _attributes(node: int) -> bytes:
    mode = stat.S_IFDIR | 0o700
    return struct.pack("<3Q3Q3I7I", node, *[0] * 8, mode, 2, 0, 0, 0, 512, 0)


def _answer(opcode: int, node: int, data: bytes) -> bytes | int:
    """What is said to a request: data, or an error."""
    match opcode:
        case 26:  # INIT
            return struct.pack("<IIIIHHIIHH8I", 7, 31, 65536, 0, 8, 6, 65536, *[0] * 11)
        case 1 if node == _ROOT and data == b"networks\0":  # LOOKUP
            attributes = _attributes(_NETWORKS)
            return struct.pack("<QQQQII", _NETWORKS, 0, 0, 0, 0, 0) + attributes
        case 1:
            return errno.ENOENT
        case 3:  # GETATTR
            return struct.pack("<QII", 0, 0, 0) + _attributes(node)
        case 27:  # OPENDIR
            return struct.pack("<QII", 0, 0, 0)
        case 17:  # STATFS
            return struct.pack("<5Q4I6I", *[1 << 20] * 5, 4096, 255, 4096, *[0] * 7)
        case 28 | 29 | 34:  # READDIR, RELEASEDIR, ACCESS
            return b""
        case _:
            return errno.EROFS


def _serve(fd: int) -> None:
    while True:
        try:
            request = os.read(fd, 1 << 18)
        except OSError:
            return  # it is not mounted any more
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        if opcode in (FORGET, BATCH_FORGET):
            continue
        said = _answer(opcode, node, request[40:])
        error, data = (-said, b"") if isinstance(said, int) else (0, said)
        os.write(fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def main(folder: str, *command: str) -> int:
    _check(_libc.unshare(NEW_MOUNTS), "unshare")
    _check(_libc.mount(None, b"/", None, PRIVATE, None), "private")
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    _check(
        _libc.mount(b"ib", folder.encode(), b"fuse.test", NO_SUID_NO_DEV, options),
        "mount",
    )
    threading.Thread(target=_serve, args=(fd,), daemon=True).start()
    return subprocess.run(command, check=False, timeout=60).returncode


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
