"""What is known of a session of a CLI: a small file in the network's folder.

    NETWORK/notice/claude-alice-SESSION.json     0600
    NETWORK/notice/claude-alice-SESSION.wait     locked by the one waiter it may have
    NETWORK/notice/lock                          held while one of the files changes

All of it may be lost at any time: what was shown and is not written down comes again.
So nothing is synced to the disk, and a file that cannot be read is an empty one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from ipcbus.errors import IpcbusError
from ipcbus.networks import Network, files, process
from ipcbus.protocol.address import check_name, fold

MOST_SHOWN: Final = 100
"""Receipts that a session may have open; a page is far less."""

OLD_S: Final = 2 * 24 * 3600
"""Seconds after which a file is of no use: receipts live for ten minutes."""

LOCK_S: Final = 0.1
"""How long to wait for the lock; the others hold it for a fraction of a millisecond."""

_RETRY_S: Final = 0.002


class Shown(NamedTuple):
    """A message that was shown and not acked yet.

    Attributes:
        until: when its lease is over, in seconds of the wall clock.
        at: the kind of event that it was shown at.
    """

    id: str
    until: float
    at: str


class Waiting(NamedTuple):
    """The process that waits for this session: these name one for ever."""

    pid: int
    started: int
    boot: str


class State(NamedTuple):
    """Attributes:
    shown: what waits for a sign that it was seen.
    kind: of the last event, and `at` when that was.
    working: the model is in a turn, as far as events tell.
    blocked: the newest message for which the end of this turn was put off.
    looked: when mail was last looked for.
    waiter: who waits, or did; `parent` is the process whose end is its end.
    """

    shown: tuple[Shown, ...] = ()
    kind: str = ""
    at: float = 0.0
    working: bool = False
    blocked: int = 0
    looked: float = 0.0
    waiter: Waiting | None = None
    parent: Waiting | None = None


class Memory:
    """Of one session of one CLI, for one agent in one network."""

    def __init__(self, network: Network, tool: str, agent: str, session: str) -> None:
        """Raises `InvalidAddress` if `agent` is no name."""
        self.folder = network.folder / "notice"
        self._whose = f"{tool}-{fold(check_name(agent))}-"
        stem = f"{self._whose}{_plain(session)}"
        self.path = self.folder / f"{stem}.json"
        self.wait_path = self.folder / f"{stem}.wait"

    def read(self) -> State:
        return _read(self.path)

    def change(self, change: Callable[[State], State]) -> State:
        """Put `change` of what is known in its place; what was known before."""
        files.make_folder(self.folder)
        with _alone(self.folder / "lock"):
            before = self.read()
            after = change(before)
            if after != before:
                _write(self.path, after._asdict())
            return before

    def forget(self) -> None:
        """The session is over."""
        self.path.unlink(missing_ok=True)

    def others(self) -> Iterator[State]:
        """Of the other sessions of this agent in this CLI."""
        with suppress(OSError):
            for path in self.folder.glob(f"{self._whose}*.json"):
                if path != self.path:
                    yield _read(path)

    def sweep(self) -> None:
        """Remove what sessions left behind that never said goodbye."""
        before = time.time() - OLD_S
        with suppress(OSError):
            for path in self.folder.rglob("*"):
                is_old = path.name != "lock" and path.lstat().st_mtime < before
                if is_old and path.is_file():
                    _remove(path)


def _remove(path: Path) -> None:
    """Unless a waiter holds it: then another could come beside that one."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        return
    finally:
        os.close(fd)


def _plain(session: str) -> str:
    """A file name for what a CLI calls its session. One that is no such name as it
    stands gets its digest, so that no two sessions share a file."""
    plain = re.sub(r"[^A-Za-z0-9-]", "", session)[:64]
    if plain == session:
        return plain
    from hashlib import sha256  # the three CLIs use UUIDs: nobody pays for this

    return f"{plain}-{sha256(session.encode(errors='replace')).hexdigest()[:16]}"


def _read(path: Path) -> State:
    try:
        return _state(files.read_object(path) or {})
    except (IpcbusError, ValueError, TypeError):
        return State()


def _state(value: dict[str, Any]) -> State:
    """Raises `ValueError` or `TypeError` for what was not written here."""
    known = {name: value[name] for name in State._fields if name in value}
    known["shown"] = tuple(Shown(*one) for one in known.get("shown", ()))
    for name in ("waiter", "parent"):
        if who := known.get(name):
            known[name] = Waiting(*who)
    return State(**known)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock. One that cannot be had in time is not worth a late answer."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        end = time.monotonic() + LOCK_S
        while not try_lock(fd) and time.monotonic() < end:
            time.sleep(_RETRY_S)
        yield
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, value: dict[str, Any]) -> None:
    """All of it or nothing, for a reader; a power cut may take it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
        json.dump(value, file)
    temporary.rename(path)


# --- the waiter of a session -----------------------------------------------------


def hold(memory: Memory, parent: Waiting | None = None) -> int | None:
    """Become the one that waits for a session, as long as `parent` runs; close the
    descriptor to end that. None if another one is."""
    files.make_folder(memory.folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(memory.wait_path, flags, 0o600)
    pid = os.getpid()
    start = process.started(pid)
    if start is None or not try_lock(fd):
        os.close(fd)
        return None
    me = Waiting(pid, start, process.boot_id())
    memory.change(lambda state: state._replace(waiter=me, parent=parent))
    return fd


def end(waiter: Waiting | None) -> None:
    """End that very process, and no other that has its number by now."""
    if waiter is None:
        return
    try:
        fd = os.pidfd_open(waiter.pid)
    except OSError:
        return
    try:
        if process.is_same(*waiter):
            signal.pidfd_send_signal(fd, signal.SIGTERM)
    except OSError:
        return
    finally:
        os.close(fd)
