"""The accounts of a network's agents, in its folder: they survive a restart."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from ipcbus.adapters.budget import Account, from_object, to_object
from ipcbus.errors import StaleFile
from ipcbus.networks import Network
from ipcbus.networks.files import make_folder, read_object, unusable, write_object
from ipcbus.protocol.address import check_name, fold

T = TypeVar("T")

FOLDER: Final = "agents"
"""In that of the network."""


class Ledger:
    """The account of one agent, which several of its runners may share.

    All of it raises `StaleFile` and `UnsafeFolder`: what is damaged is not begun anew
    by itself, for then nothing would be spent.
    """

    def __init__(self, network: Network, agent: str) -> None:
        check_name(agent)
        self._folder = network.folder / FOLDER
        self._path = self._folder / f"{fold(agent)}.json"

    def read(self) -> Account:
        return _read(self._path)

    def change(self, change: Callable[[Account], T]) -> T:
        """`change` the account, and what that returns. No other runner does so at the
        same time."""
        make_folder(self._folder)
        with _locked(self._folder / "lock"):
            account = _read(self._path)
            result = change(account)
            write_object(self._path, to_object(account))
        return result

    def everybody(self) -> list[Account]:
        """The accounts of all agents of the network."""
        return [_read(path) for path in _paths(self._folder)]


def accounts(network: Network) -> dict[str, Account]:
    """Of all agents of a network that have one, by name."""
    return {
        path.name.removesuffix(".json"): _read(path)
        for path in _paths(network.folder / FOLDER)
    }


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _read(path: Path) -> Account:
    try:
        return from_object(read_object(path) or {})
    except ValueError as error:
        reason = "does not hold what an agent has spent"
        raise StaleFile(path=str(path), reason=reason, mend="move it away") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The system lets go of the lock when its holder is killed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, "cannot be opened", error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
