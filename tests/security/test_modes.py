"""What a network leaves on disk is its owner's alone, whatever the umask was when it
was made, and whichever program made it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.networks import Network
from tests.doors.cli.conftest import Begin, Call, Run

pytestmark = pytest.mark.security


@pytest.fixture
def _no_umask() -> Iterator[None]:
    """The most generous one, for all that is started here."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """What others could use, with its mode."""
    found = [folder, *folder.rglob("*")]
    modes = {str(path): stat.S_IMODE(path.lstat().st_mode) for path in found}
    return {path: oct(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.mark.usefixtures("_no_umask")
def test_no_program_leaves_a_file_that_others_may_use(
    run: Run, call: Call, begin: Begin, home: Path, tmp_path: Path, network: Network
) -> None:
    network.save(network.saved()._replace(settings={"history_ms": 0}))
    dev = ("--network", "dev")
    bridged = call("bridge", "dev", "prod", "--one-way", "--detach", env=_prod())
    (tmp_path / "big").write_bytes(b"x" * 300_000)
    call("register", "bob", *dev)
    attached = ("--attach", str(tmp_path / "big"))
    call("send", "bob", "with a file", *attached, *dev, agent="alice")
    call("send", "bob", "long " * 3000, *dev, agent="alice")
    server = begin("mcp", "--http", "0", "--as", "model", *dev)
    assert server.process.stderr is not None
    assert b"token" in server.process.stderr.readline()
    event = {"session_id": "s", "hook_event_name": "SessionStart", "cwd": "/"}
    hook = ("hook", "claude", "SessionStart", *dev)
    assert run(*hook, stdin=json.dumps(event).encode(), agent="bob").code == 0
    call("backup", str(tmp_path / "copy.db"), *dev)

    folder = home / "networks" / "dev"
    names = {path.name for path in folder.rglob("*")}
    wanted = ("bus.db", "bus.db-wal", "server.key", "operator.key", "bob.key")
    logs = ("broker.log", "bridge-prod.log", "broker.json", "network.json", "mcp.token")
    assert names >= {*wanted, *logs, "@prod.key"}, names
    assert any(path.parent.name == "mail" for path in folder.rglob("*.txt")), names
    assert open_to_others(home / "networks") == {}
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    call("bridges", "stop", "dev", "prod")
    assert bridged["pid"]


def _prod() -> dict[str, str]:
    networks.create("prod")
    return {}


@pytest.mark.usefixtures("_no_umask")
def test_what_is_saved_of_mail_is_its_readers_alone(
    run: Run, call: Call, network: Network, tmp_path: Path
) -> None:
    """Attachments come into a folder of the reader's, which is as the reader has it."""
    (tmp_path / "big").write_bytes(b"x" * 300_000)
    call("register", "bob")
    sent = call("send", "bob", "see", "--attach", str(tmp_path / "big"), agent="alice")

    call("show", sent["id"], "--save", str(tmp_path / "saved"), agent="bob")

    (saved,) = (tmp_path / "saved").iterdir()
    assert saved.read_bytes() == b"x" * 300_000
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.usefixtures("_no_umask")
def test_what_is_restored_or_joined_is_so_too(
    run: Run, call: Call, network: Network, home: Path, tmp_path: Path
) -> None:
    call("send", "bob", "later", "--future", agent="alice")
    line = call("invite", "carol")["invitation"]
    there = {"IPCBUS_HOME": str(tmp_path / "there")}
    call("join-network", "-", stdin=line.encode(), env=there)
    call("backup", str(tmp_path / "copy.db"))
    call("down")
    (home / "networks" / "dev" / "bus.db").rename(tmp_path / "lost")
    call("restore", str(tmp_path / "copy.db"), "--network", "dev")

    assert open_to_others(home / "networks") == {}
    assert open_to_others(tmp_path / "there" / "networks") == {}
