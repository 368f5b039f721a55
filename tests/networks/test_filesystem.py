"""On which file systems a network may live, by tables of mounts handed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.errors import NetworkFileSystem
from ipcbus.networks import filesystem

MOUNTS = """\
1 0 254:0 / / rw,relatime - ext4 /dev/vda rw
2 1 0:21 / /proc rw - proc proc rw
3 1 0:40 / /home rw shared:5 - nfs4 server:/home rw
4 1 0:41 / /home/local rw - btrfs /dev/vdb rw
5 1 0:42 / /mnt/a\\040b rw - fuse.sshfs ann@far: rw
6 1 0:43 / /mnt/twice rw - cifs //far/share rw
7 1 0:44 / /mnt/twice rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ann/bus", "nfs4"),
        ("/mnt/a b/bus", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_refused(path: str, kind: str) -> None:
    with pytest.raises(NetworkFileSystem, match=kind):
        networks.check_filesystem(Path(path), MOUNTS)


@pytest.mark.parametrize("kind", sorted(filesystem.REMOTE))
def test_every_kind_that_another_machine_may_hold_is_refused(kind: str) -> None:
    with pytest.raises(NetworkFileSystem, match="IPCBUS_HOME"):
        networks.check_filesystem(Path("/srv"), f"1 0 0:1 / / rw - {kind} far: rw")


@pytest.mark.parametrize(
    "path", ["/srv/bus", "/home/local/bus", "/mnt/twice/bus", "/homely", "/"]
)
def test_a_local_file_system_is_fine(path: str) -> None:
    networks.check_filesystem(Path(path), MOUNTS)


@pytest.mark.parametrize("kind", ["overlay", "tmpfs", "xfs", "zfs", "fuseblk"])
def test_local_kinds_are_fine(kind: str) -> None:
    networks.check_filesystem(Path("/srv"), f"1 0 0:1 / / rw - {kind} x rw")


def test_a_link_to_a_network_file_system_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/ann")
    with pytest.raises(NetworkFileSystem):
        networks.check_filesystem(tmp_path / "link" / "bus", MOUNTS)


def test_this_machines_own_table_can_be_read() -> None:
    assert filesystem.kind(Path("/proc")) == "proc"
