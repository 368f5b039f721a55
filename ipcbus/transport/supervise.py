"""Serve all networks of a configuration and keep them served, as compose does.

One child process for each network (a ZAP handler, a lock and a store belong to one
process, R18). What is done when one ends is the table in `restarts`.

A network that is given up does not stop the others. SIGTERM, SIGINT or SIGHUP ends
all of them. Should the supervisor itself be killed, the kernel sends its children
SIGTERM (PR_SET_PDEATHSIG): they end cleanly, and whoever starts next finds the
locks free. The code that asks for this runs between fork and exec, which is safe in
a process without threads and without a ZeroMQ context; this one has neither.
"""

from __future__ import annotations

import ctypes
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from ipcbus.config import Config, NetworkConfig, overrides
from ipcbus.errors import IpcbusError, PortInUse, UsageError
from ipcbus.networks import BrokerInfo, Network, Saved, create
from ipcbus.transport import launch
from ipcbus.transport.restarts import STEADY_S, Then, delay, then

Ready = Callable[[BrokerInfo], None]
"""Told of each broker that can be connected to."""

Note = Callable[[str, str], None]
"""Told (network, sentence) of all else that a person may want to see."""

LOCK_S: Final = 1.0
"""Seconds between two looks at a lock that another broker holds."""

GRACE_S: Final = 10.0
"""Seconds that children have to end before they are killed."""

_PR_SET_PDEATHSIG: Final = 1
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(
    config: Config,
    ready: Ready,
    note: Note | None = None,
    *,
    command: launch.Command = launch.command,
    grace_s: float = GRACE_S,
) -> int:
    """Serve `config` until a signal (returns 0) or until no network is left to serve
    (returns 0 if all were told to end, else the exit code of the first given up).

    Call it from the main thread. Raises, before anything is started, what keeps a
    network from being made: `UnsafeFolder`, `NetworkFileSystem`, `UsageError`.
    """
    wards = [_Ward(*set_up(each)) for each in config.networks.values()]
    with _signals() as stopping, selectors.DefaultSelector() as selector:
        selector.register(stopping, selectors.EVENT_READ)
        supervisor = _Supervisor(wards, selector, command, ready, note or _to_stderr)
        try:
            while supervisor.turn():
                pass
        finally:
            supervisor.stop(grace_s)
    if supervisor.told_to_stop:
        return 0
    return next((ward.code for ward in wards if ward.code), 0)


def set_up(wanted: NetworkConfig) -> tuple[Network, Saved]:
    """Make the network and save what is wanted of it, for this and later brokers."""
    network = create(wanted.name)
    remote = network.saved().remote
    if remote is not None:
        raise UsageError(reason=f"{network.name} is served at {remote}, not here")
    settings = overrides(wanted.settings)
    saved = Saved(wanted.host, wanted.port, wanted.plain, settings=settings)
    network.save(saved)
    return network, saved


class _Ward:
    """A network in the supervisor's care.

    Exactly one of: `process` is set (a child runs), `due` is set (one will be started
    then), neither (it is over, and `code` is the exit code that it left, 0 for none).
    """

    def __init__(self, network: Network, wanted: Saved) -> None:
        self.network = network
        self.wanted = wanted
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = 0.0
        self.waits_for_lock = False
        self.failures = 0
        self.ready_at: float | None = None
        self.line = b""
        self.error: IpcbusError | None = None
        self.code = 0


class _Event(NamedTuple):
    """What a selector's key stands for: a ward's child ended, or said something."""

    ward: _Ward
    ended: bool


class _Supervisor:
    def __init__(
        self,
        wards: list[_Ward],
        selector: selectors.BaseSelector,
        command: launch.Command,
        ready: Ready,
        note: Note,
    ) -> None:
        self._wards = wards
        self._selector = selector
        self._command = command
        self._ready = ready
        self._note = note
        self._before_exec = _die_with_parent()
        self.told_to_stop = False

    def turn(self) -> bool:
        """Start what is due, wait, see what happened; False when it is time to end."""
        now = time.monotonic()
        for ward in self._wards:
            if ward.due is not None and ward.due <= now:
                self._start(ward)
        dues = [ward.due for ward in self._wards if ward.due is not None]
        if not dues and not any(ward.process for ward in self._wards):
            return False
        wait_s = max(0.0, min(dues) - time.monotonic()) if dues else None
        for key, _ in self._selector.select(wait_s):
            if not isinstance(key.data, _Event):
                self.told_to_stop = True
                return False
            if key.data.ended:
                self._ended(key.data.ward, key.fd)
            elif key.fd in self._selector.get_map():  # not closed by `_ended` just now
                self._hear(key.data.ward)
        return True

    def stop(self, grace_s: float) -> None:
        """End all children, and be sure of it."""
        running = [ward.process for ward in self._wards if ward.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + grace_s
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Event) and key.data.ended:
                os.close(key.fd)
        for process in running:
            assert process.stdout is not None
            process.stdout.close()

    def _start(self, ward: _Ward) -> None:
        if ward.waits_for_lock and ward.network.is_served():
            ward.due = time.monotonic() + LOCK_S
            return
        ward.due, ward.waits_for_lock = None, False
        ward.ready_at, ward.line, ward.error = None, b"", None
        try:
            ward.process = launch.spawn(
                ward.network,
                command=self._command,
                # Of its own session: Ctrl-C is for the supervisor, which passes it on.
                detached=True,
                before_exec=self._before_exec,
            )
        except IpcbusError as error:
            ward.error = error
            self._decide(ward, error.exit_code, time.monotonic())
            return
        assert ward.process.stdout is not None
        os.set_blocking(ward.process.stdout.fileno(), False)
        read = selectors.EVENT_READ
        self._selector.register(ward.process.stdout, read, _Event(ward, ended=False))
        ended = os.pidfd_open(ward.process.pid)
        self._selector.register(ended, read, _Event(ward, ended=True))

    def _hear(self, ward: _Ward) -> None:
        """Take in what the child says; once it is a line, or the end, act on it."""
        assert ward.process is not None
        assert ward.process.stdout is not None
        try:
            piece = os.read(ward.process.stdout.fileno(), launch.MAX_LINE)
        except BlockingIOError:
            return
        ward.line += piece
        if piece and not ward.line.endswith(b"\n"):
            return
        self._selector.unregister(ward.process.stdout)
        ward.process.stdout.close()
        try:
            info = launch.said(ward.network, ward.line)
        except IpcbusError as error:
            ward.error = error
        else:
            ward.ready_at = time.monotonic()
            self._ready(info)

    def _ended(self, ward: _Ward, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)
        assert ward.process is not None
        assert ward.process.stdout is not None
        if not ward.process.stdout.closed:
            self._hear(ward)  # its last words may have come in the same instant
        if not ward.process.stdout.closed:
            self._selector.unregister(ward.process.stdout)
            ward.process.stdout.close()
        code = ward.process.wait()
        ward.process = None
        now = time.monotonic()
        if ward.ready_at is not None and now - ward.ready_at >= STEADY_S:
            ward.failures = 0
        self._decide(ward, code, now)

    def _decide(self, ward: _Ward, code: int, now: float) -> None:
        ward.failures += 1
        what = then(code, ward.failures)
        why = str(ward.error) if ward.error else _ending(code, ward.network)
        if what is Then.DONE:
            self._note(ward.network.name, "ended as it was told")
        elif what is Then.GIVE_UP:
            ward.code = code
            self._note(ward.network.name, f"given up: {why}")
        elif what is Then.WAIT:
            ward.failures = 0
            ward.due, ward.waits_for_lock = now, True
            self._note(ward.network.name, f"{why}; waiting for that one to end")
        else:
            if code == PortInUse.exit_code and not ward.wanted.port:
                ward.network.save(ward.wanted)  # any port will do, not just the last
            seconds = delay(ward.failures, random.random())  # noqa: S311  (no secret)
            ward.due = now + seconds
            self._note(ward.network.name, f"{why}; again in {seconds:.1f} s")


def _ending(code: int, network: Network) -> str:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"the broker ended ({how}); see {network.log}"


def _die_with_parent() -> Callable[[], None]:
    """What a child does before exec so that it gets SIGTERM when this process dies."""
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before prctl was heard
            os._exit(0)

    return before_exec


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that becomes readable when this process is told to stop."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _ignore) for number in _STOPPING}
    old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _ignore(number: int, frame: object) -> None:
    """The wake-up descriptor says all there is to say."""


def _to_stderr(network: str, sentence: str) -> None:
    sys.stderr.write(f"{network}: {sentence}\n")
    sys.stderr.flush()
