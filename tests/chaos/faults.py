"""Each fault: how it is done to living processes, and how it is healed.

A fault is done for a while and then healed, also when something goes wrong on the way.
Whether a process outlives it is its own affair: what was promised must hold anyway.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import ipcbus
from ipcbus.errors import AlreadyServing, IpcbusError, StoreFull
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.chaos.fleet import Fleet, Member, waiting
from tests.faults.crew import alive, kill_broker, serving
from tests.waiting import until

SHAKY_BROKER = Path(__file__).with_name("shaky_broker.py")
STOPPED_S = (0.2, 8.0)
"""From less than a ping to more than the three after which a broker counts as dead."""

FULL_S = 1.0
MIB = 1024 * 1024
GUESTS = 8


@dataclass
class World:
    """What faults are done to.

    Attributes:
        disk: folder on a small file system of the network alone; None: not mounted.
        scratch: a folder on another one.
        longest_stop_s: a frozen process is frozen for this long at the most.
    """

    network: Network
    fleet: Fleet
    scratch: Path
    chance: random.Random
    disk: Path | None
    longest_stop_s: float = STOPPED_S[1]


def lapse(seconds: float) -> None:
    """Let the fault last while the fleet goes on."""
    ends = time.monotonic() + seconds
    until(lambda: time.monotonic() >= ends, "time goes by", seconds + 60)


def succeeded(world: World, before: BrokerInfo) -> None:
    def done() -> bool:
        info = alive(world.network)
        return info is not None and info.epoch > before.epoch

    until(done, "a takeover", 60)


def broker_killed(world: World) -> None:
    lapse(world.chance.uniform(0, 0.3))
    succeeded(world, kill_broker(world.network))


def sender_killed(world: World) -> None:
    world.chance.choice(world.fleet.senders).replace()


def receiver_killed(world: World) -> None:
    """It holds deliveries that it did not look at: those come again."""
    member = world.chance.choice(world.fleet.receivers)
    member.signal(signal.SIGSTOP)
    lapse(world.chance.uniform(0, 0.5))
    member.replace()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def broker_stopped(world: World) -> None:
    with stopped(serving(world.network).pid):
        lapse(world.chance.uniform(STOPPED_S[0], world.longest_stop_s))


def clients_stopped(world: World) -> None:
    """A sender and a receiver at once."""
    with ExitStack() as stack:
        for members in (world.fleet.senders, world.fleet.receivers):
            member: Member = world.chance.choice(members)
            stack.enter_context(stopped(member.process.pid))
        lapse(world.chance.uniform(STOPPED_S[0], world.longest_stop_s))


def disk_full(world: World) -> None:
    """Somebody else fills the disk; or, where no small one can be mounted, mail that
    nobody reads fills what the network may have (`store_bytes`)."""
    if world.disk is None:
        _hoard(world.network)
        return
    junk = world.disk / "junk"
    try:
        ends = time.monotonic() + FULL_S

        def over() -> bool:
            _fill(junk)  # what the broker gives up is taken too
            return time.monotonic() >= ends

        until(over, "the disk is full for a while", FULL_S + 60)
    finally:
        junk.unlink(missing_ok=True)


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (64 * 1024, 1024):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _hoard(network: Network) -> None:
    """Big ones until none fits, then small ones, again and again: room that the broker
    makes (it gives up history) is used up too."""
    with ipcbus.connect(network.name, agent="hoard", timeout=30) as hoard:
        ends = time.monotonic() + 60
        for size in (256 * 1024, 16 * 1024, 64):
            while _fits(hoard, size) and time.monotonic() < ends:
                pass
        ends = time.monotonic() + FULL_S
        while time.monotonic() < ends:
            _fits(hoard, 64)
        _read_all(network, hoard, "hoard")


def _fits(client: ipcbus.Client, size: int) -> bool:
    try:
        client.send("hoard", bytes(size), timeout=30)
    except StoreFull:
        return False
    return True


def write_fails(world: World, error: str) -> None:
    """A broker whose disk refuses one write serves; what it does then is seen."""
    trigger = world.scratch / "trigger"
    fired = trigger.with_suffix(".fired")
    turn = str(world.chance.randrange(1, 60))
    _shaky(world, [str(trigger), error, turn])
    try:
        world.fleet.advance(5, 60)
        trigger.touch()
        until(fired.exists, f"write {turn} is refused", 60)
    finally:
        trigger.unlink(missing_ok=True)
        fired.unlink(missing_ok=True)


def _shaky(world: World, words: list[str]) -> None:
    """Nobody else begins a broker while all are frozen; one that was just begun may
    win, and is killed too."""

    def command(network: Network) -> list[str]:
        return [sys.executable, "-P", str(SHAKY_BROKER), network.name, *words]

    def started() -> bool:
        info = alive(world.network)
        if info is not None:
            with suppress(ProcessLookupError):
                os.kill(info.pid, signal.SIGKILL)
        until(lambda: not world.network.is_served(), "the old one is gone")
        try:
            launch.start(world.network, command=command, wait_s=60)
        except AlreadyServing:
            return False
        return True

    with ExitStack() as stack:
        for member in world.fleet.members:
            stack.enter_context(stopped(member.process.pid))
        until(started, "a broker on a shaky disk", 60)


def write_eio(world: World) -> None:
    write_fails(world, "EIO")


def write_enospc(world: World) -> None:
    write_fails(world, "ENOSPC")


@contextmanager
def limited(pid: int, what: int, least: int) -> Iterator[None]:
    soft, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (least, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, what, (soft, hard))


def descriptors_out(world: World) -> None:
    """The broker can open nothing more while guests knock; afterwards one gets in."""
    pid = serving(world.network).pid
    used = {int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()}
    least = min(set(range(len(used) + 1)) - used)
    with limited(pid, resource.RLIMIT_NOFILE, least):
        got_in = [_gets_in(world.network, f"g{at}", 0.3) for at in range(GUESTS)]
    if serving(world.network).pid == pid:
        assert not any(got_in), "it had descriptors left: this was no fault"
    assert _gets_in(world.network, "late", 30), "nobody new gets in any more"


def _gets_in(network: Network, agent: str, wait_s: float) -> bool:
    try:
        ipcbus.connect(network.name, agent=agent, timeout=wait_s, start=False).close()
    except IpcbusError:
        return False
    return True


def memory_out(world: World) -> None:
    """The broker gets no more memory while big messages come, for a while: it ends,
    or its connections do. Then there is memory again, and all must arrive."""
    pid = serving(world.network).pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    least = pages * os.sysconf("SC_PAGE_SIZE") + 64 * 1024
    with ipcbus.connect(world.network.name, agent="big", timeout=30) as big:
        with limited(pid, resource.RLIMIT_AS, least), suppress(IpcbusError):
            for _ in range(8):
                big.submit("big", bytes(MIB - 4096))
            big.flush(30)
        _read_all(world.network, big, "big")


def _read_all(network: Network, client: ipcbus.Client, name: str) -> None:
    def empty() -> bool:
        with suppress(IpcbusError):  # a broker may end meanwhile
            for message in client.receive(16, timeout=0.2):
                message.ack()
            client.flush(30)
        return waiting(network, [name]) == 0

    until(empty, f"{name} has read all", 120)


FAULTS: dict[str, Callable[[World], None]] = {
    "kill-broker": broker_killed,
    "kill-sender": sender_killed,
    "kill-receiver": receiver_killed,
    "stop-broker": broker_stopped,
    "stop-clients": clients_stopped,
    "disk-full": disk_full,
    "eio": write_eio,
    "enospc": write_enospc,
    "descriptors": descriptors_out,
    "memory": memory_out,
}
