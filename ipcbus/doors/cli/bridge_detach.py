"""A bridge that runs on by itself: started, and listened to until it works.

It writes to a log in the folder of the first of its networks, one JSON document a line,
each with its time. So a detached bridge needs nothing of who started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import ipcbus.errors
from ipcbus.errors import IpcbusError, NoNetwork, TimedOut, UsageError
from ipcbus.networks import Network, find
from ipcbus.protocol.address import fold
from ipcbus.transport.environment import environment

MAX_LOG: Final = 4 * 1024 * 1024
"""Bytes of log at which a new one is begun at the next start; one old one is kept."""

FIRST_S: Final = 15.0
"""Seconds until a bridge has said anything; a broker may have to start for it."""

WORKS_S: Final = 3.0
"""Seconds more until it works. One that waits for a network still does not, and says
so: that is no failure, for it goes on trying."""

_LOOK_S: Final = 0.02


def start(
    a: str, b: str, options: list[str], *, one_way: bool, keep: Sequence[str] = ()
) -> dict[str, Any]:
    """Start a bridge in the background; what it said until it worked. `keep` names
    variables that it needs beside those that any program of ours is given.

    Raises what the bridge could not start for.
    """
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    network = _home(a, b)
    log = network.folder / "log" / f"bridge-{_other(network, a, b)}.log"
    command = [sys.executable, "-P", "-m", "ipcbus", "bridge", a, b, "--json", *options]
    with _open(log) as stream:
        begin = stream.tell()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd="/",
            env=environment(network, os.environ) | kept,
            start_new_session=True,
        )
    said = _Listening(log, begin, child).until_it_works(1 if one_way else 2)
    return {"bridge": [a, b], "pid": child.pid, "log": str(log), "said": said}


class _Listening:
    """Reads a log from where a bridge began to write to it."""

    def __init__(self, log: Path, begin: int, child: subprocess.Popen[bytes]) -> None:
        self._log = log
        self._begin = begin
        self._child = child

    def until_it_works(self, links: int) -> list[str]:
        end = time.monotonic() + FIRST_S
        heard = False
        while time.monotonic() < end:
            ended = self._child.poll() is not None
            said = self._said()
            if ended:
                raise IpcbusError(reason=f"the bridge ended; see {self._log}")
            if said and not heard:
                heard, end = True, time.monotonic() + WORKS_S
            if sum(line.endswith(": running") for line in said) >= links:
                return said
            time.sleep(_LOOK_S)
        if not heard:
            self._child.kill()
            self._child.wait()
            raise TimedOut(what="the first word of the bridge", seconds=FIRST_S)
        return self._said()

    def _said(self) -> list[str]:
        """All that it has said. Raises the error that it ended with."""
        with self._log.open("rb") as stream:
            stream.seek(self._begin)
            lines = stream.read().split(b"\n")[:-1]
        said = []
        for document in filter(None, map(_document, lines)):
            if "error" in document:
                self._child.wait()
                raise _error(dict(document["error"]))
            said.append(str(document.get("said", "")))
        return said


def _document(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None  # a warning of the interpreter, say; it stays in the log
    return found if isinstance(found, dict) else None


def _error(facts: dict[str, Any]) -> IpcbusError:
    """The error that `failures.report` has written."""
    code, message = str(facts.pop("code", "")), facts.pop("message", "")
    return ipcbus.errors.from_wire(code, facts or {"reason": message})


def _home(a: str, b: str) -> Network:
    """The network in whose folder the log is: the first that is one of ipcbus."""
    for name in (a, b):
        try:
            return find(name)
        except (NoNetwork, ipcbus.errors.InvalidAddress):
            continue
    raise UsageError(reason=f"neither {a} nor {b} is a network of this machine")


def _other(network: Network, a: str, b: str) -> str:
    other = b if fold(a) == fold(network.name) else a
    return fold(other.partition(":")[0])


def _open(log: Path) -> BinaryIO:
    try:
        if log.exists() and log.stat().st_size > MAX_LOG:
            log.rename(log.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        stream = os.fdopen(os.open(log, flags, 0o600), "ab")
    except OSError as error:
        reason = f"{log} cannot be opened: {error.strerror}"
        raise IpcbusError(reason=reason) from error
    stream.seek(0, os.SEEK_END)
    return stream
