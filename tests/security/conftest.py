"""Fixtures of these tests: those of the command line and of raw peers, and what is
secret in a home."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import keys, launch
from tests.doors.cli.conftest import begin, bob, call, prod, run, started
from tests.transport.conftest import people

__all__ = ["begin", "bob", "call", "people", "prod", "run"]


@pytest.fixture
def serve() -> Callable[[Network], BrokerInfo]:
    """What is looked at here are processes as they are started."""
    return launch.start


@pytest.fixture
def quickest() -> Callable[..., Any]:
    return started


def key_files(home: Path) -> list[Path]:
    """All keys of all networks of a home."""
    return sorted(home.glob("networks/*/**/*.key"))


def secrets_of(files: Iterable[Path]) -> dict[str, list[bytes]]:
    """What is secret in each key file, in each form in which it could get out."""
    return {str(path): forms(json.loads(path.read_text())["secret"]) for path in files}


def forms(secret: str) -> list[bytes]:
    """A secret key as hex, as ZeroMQ has it, as bytes and in base64."""
    raw = bytes.fromhex(secret)
    either = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
    encoded = [text.rstrip(b"=") for text in either]
    return [secret.encode(), secret.upper().encode(), keys.z85(secret), raw, *encoded]


def found_in(text: bytes, secrets: dict[str, list[bytes]]) -> list[str]:
    """Whose secrets are in `text`."""
    return [whose for whose, said in secrets.items() if any(s in text for s in said)]


def processes_of(home: Path) -> Iterator[Path]:
    """The folders in /proc of all processes that work in a home."""
    wanted = f"IPCBUS_HOME={home}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            given = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is another user's
        if wanted in given and folder.name != str(os.getpid()):
            yield folder


@pytest.fixture
def everywhere(tmp_path: Path) -> Path:
    """A folder whose `sitecustomize` is run by each interpreter that has it in its
    PYTHONPATH: a test writes that file."""
    folder = tmp_path / "everywhere"
    folder.mkdir()
    return folder
