"""Two brokers of one network: the second waits or is refused, in whatever shape it
comes; and one that was taken over behind its back writes nothing any more."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.errors import AlreadyServing, Fenced, NoBroker, PortInUse
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.messages import Accepted
from ipcbus.transport import launch
from tests.bridges.town import frozen, new_home
from tests.faults.crew import serving, status, waiting
from tests.transport.members import members
from tests.transport.peers import Peer, send
from tests.waiting import until

LOOSE_BROKER = Path(__file__).with_name("loose_broker.py")
TAKEN_OVER_S = 5.0
"""A second is what it takes on a quiet machine, with a new interpreter."""

pytestmark = pytest.mark.chaos


def loose(how: str, file: Path | str = "-") -> launch.Command:
    script = str(LOOSE_BROKER)
    return lambda network: [sys.executable, script, how, str(file), network.name]


def behind(*prefix: str) -> launch.Command:
    """The real one, run by `prefix`."""
    return lambda network: [*prefix, *launch.command(network)]


# --- at the same time, elsewhere -------------------------------------------------


@pytest.fixture
def sent(broker: BrokerInfo) -> str:
    """A message in the network before anybody else comes."""
    with ipcbus.connect("dev", agent="bob"), ipcbus.connect("dev", agent="al") as alice:
        return alice.send("bob", "kept").id


def _is_still_served(network: Network, broker: BrokerInfo) -> None:
    """By the same one, which nobody has disturbed."""
    assert network.broker_info() == broker
    with ipcbus.connect("dev", agent="bob", start=False) as bob:
        assert bob.epoch == broker.epoch
        assert [message.body for message in bob.fetch()[0]] == ["kept"]
        bob.send("bob", "and it goes on")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"])
def test_one_at_another_address_is_refused(
    network: Network, broker: BrokerInfo, sent: str, host: str
) -> None:
    """There the port would be free; what excludes is the lock on the folder."""
    network.save(network.saved()._replace(host=host, port=0))
    with pytest.raises(AlreadyServing, match=str(broker.pid)):
        launch.start(network)
    _is_still_served(network, broker)


@contextmanager
def namespace(missing_part: Callable[[str], None]) -> Iterator[str]:
    name = f"ib-{os.getpid()}-second"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode:
        missing_part(f"network namespaces ({made.stderr.decode().strip()})")
    try:
        subprocess.run(
            ["ip", "-n", name, "link", "set", "lo", "up"], check=True, timeout=10
        )
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, timeout=10)


@pytest.fixture
def root(missing_part: Callable[[str], None]) -> Callable[[str], None]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        missing_part("root and iproute2, to make namespaces")
    return missing_part


def test_one_in_another_network_namespace_is_refused(
    network: Network, broker: BrokerInfo, sent: str, root: Callable[[str], None]
) -> None:
    """There even the same address and port are free, as in a container."""
    with namespace(root) as name, pytest.raises(AlreadyServing):
        launch.start(network, command=behind("ip", "netns", "exec", name))
    _is_still_served(network, broker)


ELSEWHERE = """
set -e
[ -z "$1" ] || mount --bind "$1" "$2"
export IPCBUS_HOME="$2"
shift 2
exec "$@"
"""


def test_one_that_comes_by_a_bind_mount_is_refused(
    network: Network,
    broker: BrokerInfo,
    sent: str,
    tmp_path: Path,
    root: Callable[[str], None],
) -> None:
    """Another path to the same folder, in a mount namespace of its own."""
    home = network.folder.parents[1]
    by_mount = ("unshare", "-m", "sh", "-c", ELSEWHERE, "sh", str(home), str(tmp_path))
    with pytest.raises(AlreadyServing):
        launch.start(network, command=behind(*by_mount))
    _is_still_served(network, broker)


def test_one_that_comes_by_a_link_is_refused(
    network: Network, broker: BrokerInfo, sent: str, tmp_path: Path
) -> None:
    link = tmp_path / "home"
    link.symlink_to(network.folder.parents[1])
    by_link = ("sh", "-c", ELSEWHERE, "sh", "", str(link))
    with pytest.raises(AlreadyServing):
        launch.start(network, command=behind(*by_link))
    _is_still_served(network, broker)


def test_a_copy_of_the_folder_is_another_network_and_shares_nothing(
    network: Network, broker: BrokerInfo, sent: str
) -> None:
    """It is refused on the same port; on another one, no message of either is in the
    other, and the epoch of each is its own."""
    launch.stop(network)
    with new_home() as home, home.inside():
        (home.folder / "networks").mkdir(mode=0o700)
        shutil.copytree(network.folder, home.folder / "networks" / "dev")
        launch.start(network)
        copy = networks.find("dev")
        with pytest.raises(PortInUse):
            launch.start(copy)
        copy.save(copy.saved()._replace(port=0))
        assert launch.start(copy).endpoint != broker.endpoint
        assert _bodies_after_sending("to the copy") == ["kept", "to the copy"]
        epoch = status(copy)["epoch"]
        copied = home.folder
        os.environ["IPCBUS_HOME"] = str(network.folder.parents[1])
        assert _bodies_after_sending("to the first") == ["kept", "to the first"]
        os.environ["IPCBUS_HOME"] = str(copied)
        launch.stop(copy)
        launch.start(copy)
        assert status(copy)["epoch"] == epoch + 1
    assert serving(network).epoch == broker.epoch + 1


def test_a_copy_of_a_served_folder_does_not_stop_the_broker_that_it_names(
    network: Network, broker: BrokerInfo, sent: str
) -> None:
    with new_home() as home, home.inside():
        (home.folder / "networks").mkdir(mode=0o700)
        shutil.copytree(network.folder, home.folder / "networks" / "dev")
        copy = networks.find("dev")
        assert copy.broker_info() == broker
        with pytest.raises(NoBroker):
            launch.stop(copy, force=True)
    _is_still_served(network, broker)


def _bodies_after_sending(body: str) -> list[str | bytes]:
    with ipcbus.connect("dev", agent="bob", start=False) as bob:
        bob.send("bob", body)
        return [message.body for message in bob.fetch(10)[0]]


# --- one after the other: the old one wakes up ----------------------------------


def test_while_the_leader_is_frozen_nobody_takes_over(
    network: Network, broker: BrokerInfo, sent: str
) -> None:
    with frozen(broker.pid):
        for _ in range(2):
            with pytest.raises(AlreadyServing):
                launch.start(network)
    _is_still_served(network, broker)


ROUNDS, BEFORE, BEHIND = 5, 20, 200


def test_a_leader_that_wakes_after_a_takeover_writes_not_one_row(
    network: Network, show: Callable[[str], None]
) -> None:
    """With no lock at all, as on a file system whose locks do nothing: what it was sent
    while it slept, and finds when it wakes, is neither stored nor answered."""
    with ExitStack() as stack:
        old = _lockless(network, stack)
        people = stack.enter_context(members(network, old))
        bob = people.agent("bob")
        _stores(bob, range(BEFORE), "kept")
        expected = BEFORE
        for round_ in range(1, ROUNDS + 1):
            with frozen(old.pid):
                for n in range(BEHIND):
                    bob.say(send(1000 + n, "bob", b"behind", ids=f"behind{round_}"))
                new = _lockless(network, stack)
                assert new.epoch == old.epoch + 1
                people = stack.enter_context(members(network, new))
                after = people.peer(bob.keys)
                after.hello()
                _stores(after, range(BEFORE), f"after{round_}")
                expected += BEFORE
            assert _exit_code(old) == Fenced.exit_code
            with suppress(AssertionError):
                pytest.fail(str(bob.wait_for(Accepted, 0.3)))
            assert waiting(network) == expected
            old, bob = new, after
    show(
        f"{ROUNDS} leaders woke up after a takeover with {BEHIND} sends before them: "
        "0 rows of an old epoch, 0 answers, each ended by itself"
    )


def _stores(peer: Peer, numbers: range, ids: str) -> None:
    for n in numbers:
        peer.say(send(n, "bob", b"x", ids=ids))
        assert peer.wait_for(Accepted).exceptions == []


def _lockless(network: Network, stack: ExitStack) -> BrokerInfo:
    """On a port of its own: that of the one before is still taken."""
    network.save(network.saved()._replace(port=0))
    info = launch.start(network, command=loose("lockless"))
    stack.callback(_killed, info)
    return info


def _exit_code(info: BrokerInfo) -> int | None:
    (child,) = [child for child in launch._started if child.pid == info.pid]
    return child.wait(30)


def _killed(info: BrokerInfo) -> None:
    """If it has not ended yet."""
    for child in [child for child in launch._started if child.pid == info.pid]:
        child.kill()
        child.wait(30)


# --- a child that outlives its broker --------------------------------------------


@contextmanager
def with_child(network: Network, how: str, file: Path) -> Iterator[BrokerInfo]:
    """A broker with a child that lives on; the child is ended here."""
    info = launch.start(network, command=loose(how, file))
    try:
        yield info
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def test_a_program_that_outlives_its_broker_keeps_neither_lock_nor_port(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    with with_child(network, "exec", tmp_path / "child") as info:
        _killed(info)
        began = time.monotonic()
        after = launch.start(network)
        took = time.monotonic() - began
        child = int((tmp_path / "child").read_text())
        assert Path(f"/proc/{child}").exists(), "it lives on"
    assert (after.endpoint, after.epoch) == (info.endpoint, info.epoch + 1)
    show(f"with a program of the dead broker alive: the next one after {took:.2f} s")
    assert took < TAKEN_OVER_S


def test_a_forked_child_keeps_both_and_the_next_one_is_told_so(
    network: Network, tmp_path: Path
) -> None:
    """A broker of ours forks nothing. If a library should: nobody serves beside it, and
    with its end the next one does."""
    with with_child(network, "fork", tmp_path / "child") as info:
        _killed(info)
        with pytest.raises(AlreadyServing):
            launch.start(network)
    until(lambda: not network.is_served(), "the child is gone")
    after = launch.start(network)
    assert (after.endpoint, after.epoch) == (info.endpoint, info.epoch + 1)


def test_a_broker_at_work_has_no_child(
    network: Network, broker: BrokerInfo, tmp_path: Path
) -> None:
    with (
        ipcbus.connect("dev", agent="") as operator,
        ipcbus.connect("dev", agent="b") as b,
    ):
        b.send("b", "x", attach=(b.upload(b"y" * 300_000, "z.bin"),))
        operator.call("backup", str(tmp_path / "copy.db"))
        tasks = Path(f"/proc/{broker.pid}/task").iterdir()
        children = [(task / "children").read_text() for task in tasks]
    assert children
    assert "".join(children) == ""
