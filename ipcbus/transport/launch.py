"""Start a broker that outlives who started it, and stop one.

    ensure   what a client calls: whoever serves, or a broker started now
    start    a detached broker process, ready to be connected to
    stop     end the broker of a network, and no other process

A broker that starts says one JSON line on its stdout: its `BrokerInfo`, or
`{"error": {"code": ..., "facts": ...}}`, raised here as the error it was. Later it
writes nothing there; its stderr is the network's log.

Who serves is settled by the lock, not here. The starter's lock only keeps ten
clients that miss a broker at once from starting ten interpreters.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import ipcbus.errors
from ipcbus.errors import (
    AlreadyServing,
    CannotServe,
    IpcbusError,
    NoBroker,
    TimedOut,
)
from ipcbus.networks import BrokerInfo, Network
from ipcbus.networks.records import info_from
from ipcbus.transport.environment import environment

if TYPE_CHECKING:
    import subprocess

Command = Callable[[Network], Sequence[str]]
"""What to run for a network; tests put a stand-in here."""

MAX_LINE: Final = 64 * 1024
MAX_LOG: Final = 4 * 1024 * 1024
"""Bytes of log at which a new one is begun at the next start; one old one is kept."""

POLL_S: Final = 0.01

SPOILT_S: Final = 1.0
"""After which a broker.json that cannot be read is not one that a broker which begins
is about to take away."""

_started: list[subprocess.Popen[bytes]] = []
"""Brokers this process started. They are not its business any more, but a dead one
stays a zombie until its parent looks: that is done when the next one is started."""


def command(network: Network) -> list[str]:
    """`-P`: never import from the folder that somebody happens to stand in."""
    return [sys.executable, "-P", "-m", "ipcbus.transport.serve", network.name]


def ensure(
    network: Network,
    *,
    wait_s: float = 15.0,
    command: Command = command,
    needed: bool = True,
) -> BrokerInfo:
    """Who serves `network`, started if nobody does.

    A broker that was stopped has taken broker.json away, and stays stopped unless one
    is `needed`; it may do so while we wait.

    Raises `NoBroker` after `wait_s`, or what keeps the broker from starting.
    """
    info = network.broker_info()
    if info is not None and info.is_alive():
        return info
    deadline = time.monotonic() + wait_s
    spoilt_at = time.monotonic() + SPOILT_S
    with network.starter_lock(wait_s):
        while time.monotonic() < deadline:
            if not network.is_served():
                if not needed and network.broker_info() is None:
                    raise NoBroker(network=network.name, reason="it was stopped")
                try:
                    return start(
                        network, wait_s=deadline - time.monotonic(), command=command
                    )
                except AlreadyServing:
                    continue  # an `ipcbus up` was quicker; it knows no starter's lock
            info = network.broker_info()
            if info is not None:
                return info
            if time.monotonic() > spoilt_at and network.why_unknown():
                break  # who serves wrote it once, and will not again
            time.sleep(POLL_S)  # locked, not yet reachable: it is reading its store
    raise NoBroker(
        network=network.name,
        reason=network.why_unknown()
        or f"its lock is held, but it was not ready within {wait_s:g} s; "
        f"see {network.log}",
    )


def start(
    network: Network, *, wait_s: float = 10.0, command: Command = command
) -> BrokerInfo:
    """Start a detached broker and wait until it can be connected to.

    One that is slow but holds the lock is left alone (it may be checking a large
    store, and the next one would have to begin anew); else it is killed after
    `wait_s`. Raises what the broker said, `CannotServe`, or `NoBroker` if slow.
    """
    for ended in [child for child in _started if child.poll() is not None]:
        with contextlib.suppress(ValueError):  # another thread was faster
            _started.remove(ended)
    child = spawn(network, command=command, detached=True)
    _started.append(child)
    assert child.stdout is not None
    with child.stdout as pipe:
        line = _read_line(pipe.fileno(), wait_s)
    if line is None and network.is_served():
        raise NoBroker(
            network=network.name,
            reason=f"process {child.pid} is still starting after {wait_s:g} s; "
            f"see {network.log}",
        )
    try:
        return said(network, line or b"")
    except IpcbusError:
        _bury(child)
        raise


def spawn(
    network: Network,
    *,
    command: Command = command,
    detached: bool,
    before_exec: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """A broker process, its stdout a pipe for the line that it says when ready."""
    import subprocess  # 5 ms that only the one who starts a broker pays

    with _open_log(network) as log:
        try:
            return subprocess.Popen(
                list(command(network)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=environment(network, os.environ),
                start_new_session=detached,
                preexec_fn=before_exec,
            )
        except OSError as error:
            raise CannotServe(
                network=network.name, reason=f"no process: {error.strerror}"
            ) from error


def said(network: Network, line: bytes) -> BrokerInfo:
    """What a broker's first line means. Raises the error that it tells of."""
    try:
        value = json.loads(line)
        if "error" not in value:
            return info_from(value)
        code, facts = value["error"]["code"], dict(value["error"].get("facts", {}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CannotServe(
            network=network.name,
            reason=f"it ended before it was ready; see {network.log}",
        ) from error
    raise ipcbus.errors.from_wire(code, facts)


def ready_line(outcome: BrokerInfo | IpcbusError) -> bytes:
    """The line that `said` understands, for the process that serves."""
    if isinstance(outcome, IpcbusError):
        code, facts = outcome.to_wire()
        value: dict[str, Any] = {"error": {"code": code, "facts": facts}}
    else:
        value = outcome._asdict()
    return json.dumps(value, default=str).encode() + b"\n"


def stop(network: Network, *, timeout: float = 10.0, force: bool = False) -> BrokerInfo:
    """End the broker of `network` by SIGTERM; with `force` by SIGKILL after `timeout`.

    The process is held by a pidfd before it is compared with broker.json (pid, start
    time, boot, user), so no other process can be hit, even if the pid is used again.
    Raises `NoBroker`, or `TimedOut` if it does not end.
    """
    # A folder that was copied while it was served names a broker that is not its own.
    info = network.broker_info() if network.is_served() else None
    fd = _open_process(info)
    if info is None or fd is None:
        raise NoBroker(network=network.name, reason=_why_not_stopped(network))
    try:
        _log(network, f"told to stop (SIGTERM to {info.pid})")
        if _end(fd, signal.SIGTERM, timeout):
            return info
        if force:
            _log(network, f"killed (SIGKILL to {info.pid}): no end in {timeout:g} s")
            if _end(fd, signal.SIGKILL, timeout):
                return info
    finally:
        os.close(fd)
    raise TimedOut(what=f"stopping the broker of {network.name}", seconds=timeout)


def _read_line(fd: int, wait_s: float) -> bytes | None:
    """Up to the first newline or the end; None if neither came in time."""
    deadline = time.monotonic() + wait_s
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_LINE:
        left = max(0.0, deadline - time.monotonic())
        if not poller.poll(left * 1000):
            return None
        piece = os.read(fd, MAX_LINE)
        if not piece:
            break
        line += piece
    return line


def _bury(child: subprocess.Popen[bytes]) -> None:
    """See a broker off that is not going to serve."""
    import subprocess

    try:
        child.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _open_log(network: Network) -> Any:
    log = network.log
    try:
        if log.exists() and log.stat().st_size > MAX_LOG:
            log.rename(log.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(log, flags, 0o600), "ab")
    except OSError as error:
        raise CannotServe(
            network=network.name, reason=f"{log} cannot be opened: {error.strerror}"
        ) from error


def _log(network: Network, text: str) -> None:
    with _open_log(network) as log:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        log.write(f"{now} {network.name}: {text} by process {os.getpid()}\n".encode())


def _open_process(info: BrokerInfo | None) -> int | None:
    if info is None or info.pid == os.getpid():  # nobody can wait for its own end
        return None
    try:
        fd = os.pidfd_open(info.pid)
    except OSError:
        return None
    if info.is_alive():
        return fd
    os.close(fd)
    return None


def _end(fd: int, how: signal.Signals, wait_s: float) -> bool:
    """Signal the process of `fd`; whether it ended within `wait_s`."""
    try:
        signal.pidfd_send_signal(fd, how)
    except ProcessLookupError:
        return True
    poller = select.poll()
    poller.register(fd, select.POLLIN)  # readable once the process has ended
    ended = bool(poller.poll(wait_s * 1000))
    for child in _started:
        child.poll()
    return ended


def _why_not_stopped(network: Network) -> str:
    if not network.is_served():
        return "there is none to stop"
    unnamed = "its lock is held by a process that cannot be named"
    return network.why_unknown() or f"{unnamed}; is it in a container?"
