"""The networks of this machine: where state lives, how one is found, made, locked.

    IPCBUS_HOME/networks/NAME/     0700; the broker's lock is on this very folder
        network.json               `Saved`: how it is served, or where a joined one is
        broker.json                `BrokerInfo`: who serves it; information only
        server.key operator.key    a CURVE key pair each, 0600
        keys/AGENT.key             one for each agent of this user
        bus.db  ballast  log/broker.log  starter.lock

Names are compared folded, so the folder has the folded name and network.json the
name as it was given. Nothing here opens a socket, and imports are few: every
`ipcbus send` passes through this file.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ipcbus.errors import (
    AlreadyServing,
    NoNetwork,
    StaleFile,
    UnsafeFolder,
    UsageError,
)
from ipcbus.networks import files, lock
from ipcbus.networks.files import check_folder, write_private
from ipcbus.networks.filesystem import check_filesystem
from ipcbus.networks.records import (
    MEMORY,
    STORES,
    VOLATILE,
    BrokerInfo,
    Saved,
    check_saved,
    info_from,
    is_loopback,
    saved_from,
    this_broker,
)
from ipcbus.protocol.address import check_name, fold

__all__ = [
    "MEMORY",
    "STORES",
    "VOLATILE",
    "BrokerInfo",
    "Network",
    "Saved",
    "check_filesystem",
    "check_folder",
    "check_saved",
    "choose",
    "create",
    "find",
    "home",
    "is_loopback",
    "networks",
    "this_broker",
    "write_private",
]


class Network:
    """One network's folder. Making this object touches nothing."""

    __slots__ = ("folder", "name")

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {str(self.folder)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    @property
    def operator_key(self) -> Path:
        return self.folder / "operator.key"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def database(self) -> Path:
        return self.folder / "bus.db"

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    @property
    def log(self) -> Path:
        return self.folder / "log" / "broker.log"

    def key_path(self, agent: str) -> Path:
        """Where the key of `agent` is, or will be; that of a bridge to network `prod`
        is called `@prod`. Raises `InvalidAddress`."""
        check_name(agent.removeprefix("@"))
        return self.keys / f"{fold(agent)}.key"

    def saved(self) -> Saved:
        """How it is served. Raises `StaleFile` for a network.json that is not ours."""
        path = self.folder / "network.json"
        value = files.read_object(path)
        try:
            saved = saved_from(value or {})
            check_saved(saved)  # people edit this file
        except (ValueError, UsageError) as error:
            raise StaleFile(
                path=str(path),
                reason=f"does not describe a network: {error}",
                mend="mend it, or move it away; `ipcbus up` writes it again",
            ) from error
        return saved

    def save(self, saved: Saved) -> None:
        """What the next broker goes by; the present one does not change.

        Raises `UsageError` for what must not be served (plain beyond loopback).
        """
        check_saved(saved)
        files.write_object(self.folder / "network.json", _described(self.name, saved))

    def broker_info(self) -> BrokerInfo | None:
        """Who serves it, or did when last heard of; None if that is not known."""
        try:
            return self._read_info()
        except (StaleFile, ValueError):
            return None  # it is information only: a spoilt one is as good as none

    def why_unknown(self) -> str:
        """What is wrong with broker.json while a broker serves, and what to do; ""
        if nothing is. For those who cannot find that broker."""
        try:
            self._read_info()
        except (StaleFile, ValueError) as error:
            if self.is_served():
                return (
                    f"{self._broker_json} does not tell where it is: {error}; end its "
                    f"process (that of `ipcbus.transport.serve {self.name}`), and the "
                    "next one writes the file anew"
                )
        return ""

    def _read_info(self) -> BrokerInfo | None:
        value = files.read_object(self._broker_json)
        return info_from(value) if value is not None else None

    def write_broker_info(self, info: BrokerInfo) -> None:
        """For the holder of the lock, once it can be connected to."""
        files.write_object(self._broker_json, info._asdict())

    def remove_broker_info(self) -> None:
        """For the holder of the lock, before it stops being reachable."""
        self._broker_json.unlink(missing_ok=True)

    def lock(self, wait_s: float = 1.0) -> int:
        """Become the one that may serve; close the descriptor as the last act.

        A broker.json found now is of a dead broker and is removed. So while the lock
        is held, one that is there was written by the holder.

        Raises `AlreadyServing`, `UnsafeFolder`, `NetworkFileSystem`.
        """
        check_folder(self.folder)
        check_filesystem(self.folder)
        fd = lock.take(self.folder, wait_s)
        if fd is None:
            info = self.broker_info()
            raise AlreadyServing(
                network=self.name,
                pid=info.pid if info else "unknown",
                endpoint=info.endpoint if info else "not reachable yet",
            )
        self.remove_broker_info()
        return fd

    def is_served(self) -> bool:
        """Whether the lock is held. Ask when about to start a broker, or to tell."""
        return lock.is_taken(self.folder)

    def is_volatile(self) -> bool | None:
        """Whether messages are lost when the broker ends; None if that is for another
        machine to know. The broker of now may still serve what was chosen before."""
        saved = self.saved()
        if saved.remote is not None:
            return None
        info = self.broker_info() if self.is_served() else None
        return (info.store if info else saved.store) == MEMORY

    def starter_lock(self, wait_s: float = 15.0) -> AbstractContextManager[None]:
        """For the one client that starts a broker. Raises `NoBroker` after `wait_s`."""
        return lock.starter(self.folder / "starter.lock", self.name, wait_s)

    @property
    def _broker_json(self) -> Path:
        return self.folder / "broker.json"


def home() -> Path:
    """IPCBUS_HOME, or the platform's folder for state. Raises `UsageError`."""
    given = os.environ.get("IPCBUS_HOME")
    if given:
        # Relative would mean another home in every working folder.
        return _absolute(Path(given), "IPCBUS_HOME")
    state = os.environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):  # the XDG specification: ignore one that is relative
        return Path(state) / "ipcbus"
    return _absolute(Path("~/.local/state/ipcbus"), "HOME")


def create(name: str) -> Network:
    """The network `name`, made if need be. Raises `InvalidAddress`, `UnsafeFolder`,
    `NetworkFileSystem`."""
    folder = _folder(name)
    _make_home(folder.parent)
    check_filesystem(folder.parent)
    files.make_folder(folder)
    files.make_folder(folder / "keys")
    files.make_folder(folder / "log")
    described = _described(name, Saved())
    files.write_object(folder / "network.json", described, replace=False)
    return find(name)


def find(name: str) -> Network:
    """The network `name`. Raises `NoNetwork` with near names, `UnsafeFolder`."""
    folder = _folder(name)
    if not os.path.lexists(folder):
        raise NoNetwork(network=name, reason=_not_here(name))
    check_folder(folder.parent)
    check_folder(folder)
    return Network(_display_name(folder), folder)


def networks() -> list[Network]:
    """All networks of this machine's user, by name. Raises `UnsafeFolder`."""
    folder = home() / "networks"
    if not os.path.lexists(folder):
        return []
    check_folder(folder)
    found = sorted(child for child in folder.iterdir() if child.is_dir())
    return [Network(_display_name(child), child) for child in found]


def choose(name: str | None = None) -> Network:
    """The network `name`, or IPCBUS_NETWORK, or the only one there is.

    Raises `NoNetwork`, or `UsageError` that lists those to choose from.
    """
    name = name or os.environ.get("IPCBUS_NETWORK")
    if name:
        return find(name)
    found = networks()
    if len(found) == 1:
        return find(found[0].name)
    if not found:
        raise NoNetwork(network="dev", reason="there is no network on this machine yet")
    names = ", ".join(network.name for network in found)
    raise UsageError(
        reason=f"which network? There are {names}; say --network or IPCBUS_NETWORK"
    )


def _folder(name: str) -> Path:
    return home() / "networks" / fold(check_name(name))


def _absolute(path: Path, variable: str) -> Path:
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            reason=f"{variable} is not set and there is no home"
        ) from error
    if not path.is_absolute():
        raise UsageError(reason=f"{variable} must be an absolute path, not {path}")
    return path


def _make_home(folder: Path) -> None:
    """HOME/networks. HOME may be open to others: only what is in networks counts."""
    try:
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise files.unusable(folder.parent, "cannot be made", error) from error
    files.make_folder(folder)


def _display_name(folder: Path) -> str:
    try:
        value = files.read_object(folder / "network.json") or {}
    except (StaleFile, UnsafeFolder):
        value = {}  # said when its settings are asked for, not when it is listed
    name = value.get("name")
    return name if isinstance(name, str) and fold(name) == folder.name else folder.name


def _described(name: str, saved: Saved) -> dict[str, Any]:
    if saved.remote is not None:
        where = {"remote": saved.remote, "server_key": saved.server_key}
        return {"name": name, **where, "plain": saved.plain}
    fields = {"host": saved.host, "port": saved.port, "plain": saved.plain}
    settings = dict(saved.settings)
    return {"name": name, **fields, "store": saved.store, "settings": settings}


def _not_here(name: str) -> str:
    from difflib import get_close_matches  # only a typing error pays for it

    names = {fold(network.name): network.name for network in networks()}
    near = [names[key] for key in get_close_matches(fold(name), names, 3, 0.5)]
    hint = f"; near: {', '.join(near)}" if near else ""
    return f"there is no network {name} on this machine{hint}"
