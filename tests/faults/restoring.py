"""Backups made and restored by the commands that people use, and what is in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw

from ipcbus import doctor, networks
from ipcbus.doctor import Row
from ipcbus.networks import Network
from ipcbus.store.sqlite.offline import inspect
from tests.bridges.town import Home

COMMAND_S = 60


def begun(*words: object) -> subprocess.Popen[bytes]:
    """A command, here and now."""
    return subprocess.Popen(
        [sys.executable, "-m", "ipcbus", *map(str, words), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> Any:
    """What it says, once it has done it."""
    said, wrong = process.communicate(timeout=COMMAND_S)
    assert process.returncode == 0, (said, wrong)
    return json.loads(said)


def messages(path: Path) -> dict[int, str]:
    """Number and id of each message of a database that nobody serves."""
    return dict(rows(path, "SELECT seq, id FROM messages"))


def counters(path: Path) -> dict[str, int]:
    [(packed,)] = rows(path, "SELECT counters FROM totals WHERE mailbox = 0")
    found: dict[str, int] = json.loads(packed)
    return found


def rows(path: Path, sql: str) -> list[Any]:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(f"{path.as_uri()}?immutable=1", flags=flags)
    try:
        return list(db.execute(sql))
    finally:
        db.close()


def restored(home: Home, source: Network, backup: Path) -> Network:
    """The network on another machine: its keys, which are no part of a backup, and
    what was backed up. It is not served yet."""
    with home.inside():
        made = networks.create(source.name)
        for key in ("server.key", "operator.key"):
            shutil.copy2(source.folder / key, made.folder / key)
        shutil.copytree(source.keys, made.keys, dirs_exist_ok=True)
        facts = ended(begun("restore", backup, "-n", source.name))
        assert facts["waiting"] == inspect(backup)["waiting"]
        assert not unwell(made)
    return made


def unwell(network: Network) -> list[Row]:
    """What the doctor finds; every page of a store that nobody serves."""
    return [row for row in doctor.examine_network(network) if row.status != "ok"]
