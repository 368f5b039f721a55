"""Fixtures of all tests: a home of their own, real brokers, nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ipcbus import networks
from ipcbus.errors import NoBroker, UnsafeFolder
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests import forks

STATE = ".local/state/ipcbus"
"""Below HOME: the home of who has set nothing."""

IN_CI = bool(os.environ.get("CI"))

# How long an example takes says more about the machine than about the code.
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("deep", deadline=None, max_examples=400)
settings.load_profile("quick")

# What a shell runs in the background ignores these, and hands that on to its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are processors: most of these tests wait most of the time."""
    return 2 * (os.cpu_count() or 1)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What `show` was told, wherever the test ran."""
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {line}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, line in report.user_properties
        if name == "figure"
    ]
    if told:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in sorted(told)))


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell a figure that no test asserts, or that people want to see; it stands at the
    end of the run."""
    return lambda line: record_property("figure", line)


@pytest.fixture(scope="session")
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which state cannot be kept: a file is in the way."""
    folder = tmp_path_factory.mktemp("nobody")
    (folder / ".local").mkdir()
    (folder / ".local" / "state").touch()
    return folder


@pytest.fixture(autouse=True)
def _no_test_uses_the_real_home(
    monkeypatch: pytest.MonkeyPatch, _nobodys_home: Path
) -> None:
    """Not even root can make a folder below a device. Some programs hand on nothing of
    their environment but HOME."""
    monkeypatch.setenv("IPCBUS_HOME", "/dev/null/this-test-must-ask-for-a-home")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/this-test-must-ask-for-a-home")
    monkeypatch.setenv("HOME", str(_nobodys_home))
    monkeypatch.delenv("IPCBUS_NETWORK", raising=False)
    monkeypatch.delenv("IPCBUS_AGENT", raising=False)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Processes and threads that a test began have ended when it ends."""
    children, threads = _children(), set(threading.enumerate())
    yield
    left = {pid: _name(pid) for pid in _children() - children}
    assert not left, f"processes left behind: {left}"
    alive = [t for t in threading.enumerate() if t not in threads and not t.daemon]
    assert not alive, f"threads left behind: {alive}"


@pytest.fixture
def home(
    monkeypatch: pytest.MonkeyPatch, _nothing_is_left_behind: None
) -> Iterator[Path]:
    """An empty IPCBUS_HOME, also for the processes that the test starts.

    Its path is short, as a socket's must be. Brokers that clients started on the way
    are ended with it, each by its own pid.
    """
    folder = Path(tempfile.mkdtemp(prefix="ib-", dir="/tmp"))
    monkeypatch.setenv("IPCBUS_HOME", str(folder))
    try:
        yield folder
    finally:
        try:
            for state in filter(Path.exists, (folder / STATE, folder)):
                monkeypatch.setenv("IPCBUS_HOME", str(state))
                _end_brokers()
                _end_beginners(state)
        finally:
            shutil.rmtree(folder)


@pytest.fixture
def network(home: Path) -> Network:
    """A network called dev that nobody serves yet."""
    return networks.create("dev")


@pytest.fixture(scope="session")
def _forks() -> None:
    """Begun before a test may look which processes there are."""
    forks.begin()


@pytest.fixture
def serve(_forks: None) -> Callable[[Network], BrokerInfo]:
    """Let a real broker process serve a network, on a free port."""
    return forks.serve


@pytest.fixture
def broker(network: Network, serve: Callable[[Network], BrokerInfo]) -> BrokerInfo:
    """A real broker process that serves `network`."""
    return serve(network)


@pytest.fixture
def missing_part() -> Callable[[str], None]:
    """Call it when the machine lacks what a test needs: it skips, but fails in CI."""

    def say(what: str) -> None:
        if IN_CI:
            pytest.fail(f"CI must have {what}")
        pytest.skip(f"needs {what}")

    return say


def _end_brokers() -> None:
    """One that has its lock and is about to write its file gets the time to do so."""
    deadline = time.monotonic() + 10
    for network in _networks():
        while True:
            try:
                launch.stop(network, timeout=10.0, force=True)
            except (NoBroker, UnsafeFolder):
                if _is_served(network):
                    late = time.monotonic() > deadline
                    assert not late, f"{network}: a lock is still held"
                    continue
            break


def _end_beginners(home: Path) -> None:
    """Brokers that a client has begun a moment ago, and that have no lock yet."""
    deadline = time.monotonic() + 10
    while found := [pid for pid in map(int, _pids()) if _is_broker_of(home, pid)]:
        assert time.monotonic() < deadline, f"brokers that do not end: {found}"
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*")]


def _is_broker_of(home: Path, pid: int) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or is another user's
    mine = f"IPCBUS_HOME={home}".encode() in environment
    return mine and "ipcbus.transport.serve" in _name(pid)


def _is_served(network: Network) -> bool:
    try:
        return network.is_served()
    except UnsafeFolder:
        return False


def _networks() -> list[Network]:
    try:
        return networks.networks()
    except UnsafeFolder:
        return []  # the test made it so; nothing can have been started there


def _children() -> set[int]:
    """Child processes of this one, ended ones that nobody waited for included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(map(int, (task / "children").read_text().split()))
        except OSError:
            continue  # a thread that has just ended
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "(ended)"
