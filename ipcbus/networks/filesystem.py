"""On which file system a folder lies.

SQLite's WAL needs memory shared by all who open it, and flock must exclude: neither
can be trusted once a second machine, or a program behind FUSE, is the file system
(sqlite.org/wal.html, sqlite.org/useovernet.html).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipcbus.errors import NetworkFileSystem

_KINDS: Final = (
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph coda ncpfs lustre glusterfs gfs2 ocfs2 "
    "beegfs pvfs2 orangefs gpfs virtiofs vboxsf prl_fs fuse"
)

REMOTE: Final = frozenset(_KINDS.split())
"""Kinds that are refused, with every `fuse.*`. `fuseblk` is a local disk."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def check_filesystem(path: Path, mounts: str | None = None) -> None:
    """Raises `NetworkFileSystem` if `path` does not lie on a local disk.

    `mounts` is the text of a mountinfo, by default this process's (proc(5)).
    """
    found = kind(path, mounts)
    if found in REMOTE or found.startswith("fuse."):
        raise NetworkFileSystem(path=str(path), kind=found)


def kind(path: Path, mounts: str | None = None) -> str:
    """The kind of file system below `path`; "unknown" where /proc does not say.

    By path, not by device number: a Btrfs subvolume has one that no mount shows.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        except OSError:
            return "unknown"
    real = path.resolve()
    longest, found = -1, "unknown"
    for line in mounts.splitlines():
        point, kind_here = _mount(line)
        # `>=`: of two mounts on one point the later one covers the earlier.
        if real.is_relative_to(point) and len(point) >= longest:
            longest, found = len(point), kind_here
    return found


def _mount(line: str) -> tuple[str, str]:
    fields, _, rest = line.partition(" - ")
    return _unescape(fields.split(" ")[4]), rest.split(" ", 1)[0]


def _unescape(point: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n")):
        point = point.replace(code, letter)
    return point.replace("\\134", "\\")
