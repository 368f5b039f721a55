"""Serve all networks of a configuration and keep them served, as compose does.

One child process for each network (a ZAP handler, a lock and a store belong to one
process, R18), and one for each bridge and each agent, the clients. What is done when
one ends is the table in `restarts`.

One that is given up does not stop the others. SIGTERM, SIGINT or SIGHUP ends all of
them, the clients first: one that lost its broker would start another. Should the
supervisor itself be killed, the kernel sends its children SIGTERM (PR_SET_PDEATHSIG):
they end cleanly, and whoever starts next finds the locks free. The code that asks for
this runs between fork and exec, which is safe in a process without threads and without
a ZeroMQ context; this one has neither.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from ipcbus.config import Config, NetworkConfig, overrides
from ipcbus.errors import IpcbusError, UsageError
from ipcbus.networks import Network, Saved, create
from ipcbus.protocol.address import fold
from ipcbus.transport import agents, bridging, launch
from ipcbus.transport.agents import AgentWard
from ipcbus.transport.bridging import BridgeWard
from ipcbus.transport.clients import ClientWard
from ipcbus.transport.restarts import STEADY_S, Then, delay
from ipcbus.transport.volatile import check_change
from ipcbus.transport.wards import BrokerWard, Note, Ready, Ward

LOCK_S: Final = 1.0
"""Seconds between two looks at a lock that another broker holds."""

GRACE_S: Final = 10.0
"""Seconds that brokers have to end before they are killed; clients have half of it."""

_PR_SET_PDEATHSIG: Final = 1
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(
    config: Config,
    ready: Ready,
    note: Note | None = None,
    *,
    command: launch.Command = launch.command,
    bridge_command: bridging.Command = bridging.command,
    agent_command: agents.Command = agents.command,
    grace_s: float = GRACE_S,
) -> int:
    """Serve `config` until a signal (returns 0) or until nothing is left to serve
    (returns 0 if all were told to end, else the exit code of the first given up).

    A client counts as something to serve unless all networks of `config` that it is of
    are over.

    Call it from the main thread. Raises, before anything is started, what keeps a
    network from being made: `UnsafeFolder`, `NetworkFileSystem`, `UsageError`, and
    `AlreadyServing` if its store should be another one than what a broker serves now.
    """
    note = note or _to_stderr
    brokers = [
        BrokerWard(*set_up(each), command, ready) for each in config.networks.values()
    ]
    clients: list[ClientWard] = [
        BridgeWard(each, _among(brokers, each.between), bridge_command, note)
        for each in config.bridges.values()
    ]
    clients += [
        AgentWard(each, _among(brokers, [each.network]), agent_command, note)
        for each in config.agents.values()
    ]
    with _signals() as stopping, selectors.DefaultSelector() as selector:
        selector.register(stopping, selectors.EVENT_READ)
        supervisor = _Supervisor(brokers, clients, selector, note)
        try:
            while supervisor.turn():
                pass
        finally:
            supervisor.stop(grace_s)
    if supervisor.told_to_stop:
        return 0
    return next((ward.code for ward in [*brokers, *clients] if ward.code), 0)


def set_up(wanted: NetworkConfig) -> tuple[Network, Saved]:
    """Make the network and save what is wanted of it, for this and later brokers.

    Another store than it had is for a network that nobody serves; raises as
    `volatile.check_change` does.
    """
    network = create(wanted.name)
    remote = network.saved().remote
    if remote is not None:
        raise UsageError(reason=f"{network.name} is served at {remote}, not here")
    settings = overrides(wanted.settings)
    check_change(network, wanted.store)
    saved = Saved(
        wanted.host, wanted.port, wanted.plain, settings=settings, store=wanted.store
    )
    network.save(saved)
    return network, saved


def _among(brokers: list[BrokerWard], names: Iterable[str]) -> list[BrokerWard]:
    wanted = {fold(name) for name in names}
    return [ward for ward in brokers if fold(ward.name) in wanted]


class _Event(NamedTuple):
    """What a selector's key stands for: a ward's child ended, or said something."""

    ward: Ward
    ended: bool


class _Supervisor:
    def __init__(
        self,
        brokers: list[BrokerWard],
        clients: list[ClientWard],
        selector: selectors.BaseSelector,
        note: Note,
    ) -> None:
        self._brokers = brokers
        self._clients = clients
        self._wards: list[Ward] = [*brokers, *clients]
        self._selector = selector
        self._note = note
        self._before_exec = _die_with_parent()
        self.told_to_stop = False

    def turn(self) -> bool:
        """Start what is due, wait, see what happened; False when it is time to end."""
        self._start_what_is_due()
        if not self._has_more_to_do():
            return False
        for key, _ in self._selector.select(self._wait_s()):
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
        _end(self._clients, grace_s / 2)
        _end(self._brokers, grace_s)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Event) and key.data.ended:
                os.close(key.fd)
        for ward in self._wards:
            if ward.process is not None:
                _stdout(ward).close()

    def _has_more_to_do(self) -> bool:
        return not all(ward.is_over for ward in self._brokers) or any(
            ward.is_needed for ward in self._clients
        )

    def _wait_s(self) -> float | None:
        """Seconds until one is due; what is held comes with what others say or do."""
        dues = [
            ward.due
            for ward in self._wards
            if ward.due is not None and not ward.is_held()
        ]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for ward in self._wards:
            if ward.due is None:
                continue
            if lost := ward.lost():
                ward.due = None
                self._note(ward.name, lost)
            elif ward.due <= now and not ward.is_held():
                self._start(ward)

    def _start(self, ward: Ward) -> None:
        if ward.waits and ward.is_taken():
            ward.due = time.monotonic() + LOCK_S
            return
        ward.begin()
        try:
            ward.process = ward.spawn(self._before_exec)
        except IpcbusError as error:
            ward.error = error
            self._decide(ward, error.exit_code, time.monotonic())
            return
        stdout = _stdout(ward)
        os.set_blocking(stdout.fileno(), False)
        read = selectors.EVENT_READ
        self._selector.register(stdout, read, _Event(ward, ended=False))
        ended = os.pidfd_open(ward.process.pid)
        self._selector.register(ended, read, _Event(ward, ended=True))

    def _hear(self, ward: Ward) -> bool:
        """Take in what the child says; whether there was something, and may be more."""
        stdout = _stdout(ward)
        try:
            piece = os.read(stdout.fileno(), launch.MAX_LINE)
        except BlockingIOError:
            return False
        if ward.hear(piece, time.monotonic()):
            return True
        self._selector.unregister(stdout)
        stdout.close()
        return False

    def _ended(self, ward: Ward, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)
        assert ward.process is not None
        stdout = _stdout(ward)
        while not stdout.closed and self._hear(ward):
            pass  # its last words may have come in the same instant
        if not stdout.closed:
            ward.hear(b"", time.monotonic())
            self._selector.unregister(stdout)
            stdout.close()
        code = ward.process.wait()
        ward.process = None
        now = time.monotonic()
        if ward.ready_at is not None and now - ward.ready_at >= STEADY_S:
            ward.failures = 0
        self._decide(ward, code, now)

    def _decide(self, ward: Ward, code: int, now: float) -> None:
        ward.failures += 1
        what = ward.then(code)
        why = ward.why(code)
        if what is Then.DONE:
            self._note(ward.name, "ended as it was told")
        elif what is Then.GIVE_UP:
            ward.code = code
            self._note(ward.name, f"given up: {why}")
        elif what is Then.WAIT:
            ward.failures = 0
            ward.due, ward.waits = now, True
            self._note(ward.name, f"{why}; waiting for that one to end")
        else:
            ward.again(code)
            seconds = delay(ward.failures, random.random())  # noqa: S311  (no secret)
            ward.due = now + seconds
            self._note(ward.name, f"{why}; again in {seconds:.1f} s")


def _stdout(ward: Ward) -> IO[bytes]:
    assert ward.process is not None
    assert ward.process.stdout is not None
    return ward.process.stdout


def _end(wards: Sequence[Ward], grace_s: float) -> None:
    """SIGTERM to their children, and SIGKILL to those that do not end by it."""
    running = [ward.process for ward in wards if ward.process]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + grace_s
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


def _to_stderr(name: str, sentence: str) -> None:
    sys.stderr.write(f"{name}: {sentence}\n")
    sys.stderr.flush()
