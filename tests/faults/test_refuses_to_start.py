"""Places where no broker may start: it says why in one clear line, with an exit code of
its own, and has written nothing. By the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

import ipcbus
from ipcbus.errors import NetworkFileSystem, UnsafeFolder
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.doors.cli.conftest import COMMAND, ROOT, RUN_S, Done, environment

ON_FUSE = Path(__file__).with_name("on_fuse.py")
UP = ("up", "--network", "dev")
SEND = ("send", "bob", "hi", "--network", "dev", "--as", "alice")

READ_ONLY = """
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
shift
exec "$@"
"""
SOMEBODY = 12345


@pytest.fixture
def root(missing_part: Callable[[str], None]) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        missing_part("root and unshare, to mount file systems")


def run(home: Path, *command: object) -> Done:
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        timeout=RUN_S,
        check=False,
        cwd=ROOT,
        env=environment({"IPCBUS_HOME": str(home)}),
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(done: Done, code: int, *words: str) -> None:
    """In one line that has these words."""
    assert (done.code, done.out) == (code, ""), done
    (line,) = told(done)
    for word in words:
        assert word in line, line


def told(done: Done) -> list[str]:
    """Lines, but for one that a machine with few descriptors brings about."""
    return [line for line in done.err.splitlines() if "descriptors" not in line]


# --- file systems of others ------------------------------------------------------


@pytest.fixture
def fuse(tmp_path: Path, root: None, missing_part: Callable[[str], None]) -> Path:
    """A folder on which FUSE can be mounted."""
    tried = run(tmp_path, sys.executable, ON_FUSE, tmp_path, "true")
    if tried.code:
        missing_part(f"FUSE ({tried.err.strip().splitlines()[-1]})")
    return tmp_path


@pytest.mark.parametrize("words", [UP, SEND, ("doctor",)], ids=["up", "send", "doctor"])
def test_on_fuse(fuse: Path, words: tuple[str, ...]) -> None:
    """Nothing is made there first: that file system answers no request to write."""
    done = run(fuse, sys.executable, ON_FUSE, fuse, *COMMAND, *words)
    if words == UP:
        refused(done, NetworkFileSystem.exit_code, str(fuse), "fuse.test")
    else:
        assert done.code != 0
    assert "Traceback" not in done.out + done.err
    assert list(fuse.iterdir()) == []


def test_a_network_that_was_moved_to_one_is_not_served(
    network: Network, fuse: Path, home: Path
) -> None:
    """The home is local; a folder below it is not."""
    done = run(home, sys.executable, ON_FUSE, home / "networks", *COMMAND, *UP)
    refused(done, NetworkFileSystem.exit_code, "fuse.test", "IPCBUS_HOME")


# --- folders that cannot be written, or are not ours ------------------------------


def _read_only(home: Path, *words: str) -> Done:
    frozen = ("unshare", "-m", "sh", "-c", READ_ONLY, "sh", home)
    return run(home, *frozen, *COMMAND, *words)


@pytest.mark.parametrize("words", [UP, SEND], ids=["up", "send"])
def test_where_nothing_can_be_written_and_nothing_is(
    home: Path, root: None, words: tuple[str, ...]
) -> None:
    done = _read_only(home, *words)
    assert done.code != 0
    assert len(told(done)) == 1, done
    assert told(done)[0].startswith("ipcbus: "), done
    assert list(home.iterdir()) == []


def test_a_network_whose_folder_has_become_read_only(
    network: Network, home: Path, root: None
) -> None:
    """It was served before, and can be again when that is over."""
    launch.start(network)
    with ipcbus.connect("dev", agent="bob") as bob:
        bob.send("bob", "kept")
    launch.stop(network)
    before = _contents(network)
    done = _read_only(home, *UP)
    refused(done, UnsafeFolder.exit_code, str(network.folder), "Read-only file system")
    assert _contents(network) == before
    with ipcbus.connect("dev", agent="bob") as bob:
        assert [message.body for message in bob.fetch()[0]] == ["kept"]


def _contents(network: Network) -> dict[str, bytes]:
    files = (path for path in network.folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name != "broker.log"}


@pytest.mark.parametrize("what", ["", "bus.db", "operator.key", "server.key"])
def test_a_folder_or_file_of_another_user(
    network: Network, home: Path, root: None, what: str
) -> None:
    launch.start(network)
    launch.stop(network)
    before = _contents(network)
    os.chown(network.folder / what, SOMEBODY, SOMEBODY)
    done = run(home, *COMMAND, *UP)
    refused(done, UnsafeFolder.exit_code, str(network.folder / what))
    assert _contents(network) == before


# --- the database ----------------------------------------------------------------


def test_a_broker_has_its_database_open_once_and_with_a_sound_sqlite(
    network: Network, broker: BrokerInfo, tmp_path: Path
) -> None:
    """Two connections are what a bug of SQLite before 3.51.3 needs. A backup is read
    through the same one."""
    numbers = tuple(map(int, apsw.sqlite_lib_version().split(".")))
    assert numbers >= (3, 51, 3)
    most: list[int] = []
    with ipcbus.connect("dev", agent="bob") as bob, _operator() as operator:
        for number in range(20):
            bob.submit("bob", b"." * 100_000)
            asked = operator.start_call("backup", str(tmp_path / f"copy-{number}"))
            while not asked.done():
                most.append(_opened(broker.pid, network.database))
            asked.result(30)
    assert set(most) == {1}


def _operator() -> ipcbus.Client:
    return ipcbus.connect("dev", agent="")


def _opened(pid: int, path: Path) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += link.readlink() == path
        except FileNotFoundError:
            continue  # closed in this moment
    return count
