"""What a one-shot program pays: the modules that importing and sending load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ipcbus.networks import BrokerInfo

LOADED = """
import json, sys
before = set(sys.modules)
import zmq, msgpack, pathlib
given = set(sys.modules) | {"zmq.utils", "zmq.utils.z85"}
{code}
print(json.dumps(sorted(set(sys.modules) - given)))
"""

SEND = """
import ipcbus
with ipcbus.connect("dev", agent="alice") as bus:
    bus.send("alice", "x")
    bus.fetch()
"""

ALLOWED = {
    # light parts of the standard library
    "_ctypes",
    "urllib",
    "urllib.parse",
    "ipaddress",
    "fcntl",
    "secrets",
}
"""Beside our own and what pathlib needs. Weigh what you add: `python -X importtime`."""

NEVER = {
    "asyncio",
    "subprocess",
    "dataclasses",
    "inspect",
    "logging",
    "socket",
    "ssl",
    "hashlib",
    "tempfile",
    "sqlite3",
    "apsw",
    "yaml",
    "importlib.metadata",
    "concurrent.futures",
    "ipcbus.broker.state",
    "ipcbus.store",
    "ipcbus.transport.launch",
    "ipcbus.client.aio",
    "ipcbus.client.attachments",
    "ipcbus.client.invitations",
}


def loaded(code: str) -> set[str]:
    """Modules that `code` loads beyond zmq, msgpack and pathlib, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.replace("{code}", code)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_but_itself() -> None:
    found = {name for name in loaded("import ipcbus") if "encodings" not in name}
    assert found == {"ipcbus", "ipcbus.version"}


@pytest.mark.parametrize("code", [SEND, "import ipcbus\nipcbus.connect\nipcbus.Client"])
def test_a_send_loads_only_what_it_needs(broker: BrokerInfo, code: str) -> None:
    with_key = subprocess.run([sys.executable, "-c", SEND], timeout=30, check=True)
    assert with_key.returncode == 0  # the first one registers the name
    found = loaded(code)
    assert not found & NEVER
    others = {name for name in found if name.partition(".")[0] != "ipcbus"}
    assert others <= ALLOWED
