"""Real client processes that send and receive while a test breaks things."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipcbus
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.faults.history import Acked, Got, Seen, Sent
from tests.waiting import until

CREW_MEMBER = Path(__file__).with_name("crew_member.py")
PROJECT = Path(__file__).parents[2]
BOUND_S = 30.0

_KINDS: dict[str, Callable[..., Any]] = {"Sent": Sent, "Got": Got, "Acked": Acked}


class Member:
    """One client process."""

    def __init__(
        self, role: str, network: str, name: str, peers: Sequence[str], folder: Path
    ) -> None:
        self.role, self.name = role, name
        self._log = folder / f"{name}.log"
        self._board = folder / f"{name}.board"
        self._board.write_bytes(struct.pack("<q", -1))
        arguments = [role, network, name, ",".join(peers), self._board, 0, self._log]
        self.process = subprocess.Popen(
            [sys.executable, str(CREW_MEMBER), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )

    @property
    def progress(self) -> int:
        """Messages accepted or received so far; -1 before it is connected."""
        count: int = struct.unpack("<q", self._board.read_bytes())[0]
        return count

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, bound: float = BOUND_S) -> None:
        """Let it finish what is under way and write down what it saw."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(bound) == 0, f"{self.name} failed"

    def seen(self) -> list[Any]:
        rows = map(json.loads, self._log.read_text().splitlines())
        return [_KINDS[kind](*fields) for kind, *fields in rows]


class Crew:
    """Senders s0, s1, ... that send to each of the receivers r0, r1, ..."""

    def __init__(self, network: Network, folder: Path, senders: int, receivers: int):
        self.network = network
        names = [f"r{at}" for at in range(receivers)]
        self.receivers = [
            Member("receive", network.name, name, (), folder) for name in names
        ]
        self.senders: list[Member] = []
        try:
            self.connected()
            self.senders = [
                Member("send", network.name, f"s{at}", names, folder)
                for at in range(senders)
            ]
            self.connected()
        except BaseException:
            self.kill()
            raise

    @property
    def members(self) -> list[Member]:
        return self.senders + self.receivers

    def connected(self) -> None:
        until(lambda: all(m.progress >= 0 for m in self.members), "all are connected")

    def advance(self, count: int) -> None:
        """Wait until each of them has got `count` further."""
        goals = {member.name: member.progress + count for member in self.members}
        for member in self.members:
            until(
                lambda m=member: m.progress >= goals[m.name],  # type: ignore[misc]
                f"{member.name} goes on from {member.progress}",
            )

    def stop_sending(self) -> list[Sent]:
        """End the senders; what they sent."""
        for sender in self.senders:
            sender.end()
        return [sent for sender in self.senders for sent in sender.seen()]

    def stop_receiving(self) -> list[Seen]:
        """Let the receivers empty their mailboxes, and end them; what they got."""
        until(lambda: waiting(self.network) == 0, "the mailboxes are empty", 60)
        for receiver in self.receivers:
            receiver.end()
        return [seen for receiver in self.receivers for seen in receiver.seen()]

    def kill(self) -> None:
        for member in self.members:
            member.process.kill()
            member.process.wait()


@contextlib.contextmanager
def crew(
    network: Network, folder: Path, *, senders: int = 4, receivers: int = 4
) -> Iterator[Crew]:
    made = Crew(network, folder, senders, receivers)
    try:
        yield made
    finally:
        made.kill()


def status(network: Network) -> dict[str, Any]:
    """What an operator is told."""
    with ipcbus.connect(network.name, agent="", timeout=30) as operator:
        return operator.status()


def waiting(network: Network) -> int:
    """Messages in all mailboxes that are not acked."""
    boxes = status(network)["mailboxes"].values()
    return sum(box["waiting"] + box["leased"] for box in boxes)


def kill_broker(network: Network) -> BrokerInfo:
    """kill -9; who it was."""
    info = serving(network)
    os.kill(info.pid, signal.SIGKILL)
    return info


def serving(network: Network) -> BrokerInfo:
    """Who serves now; a broker that a client is just starting is waited for."""
    until(lambda: alive(network) is not None, "somebody serves")
    info = alive(network)
    assert info is not None
    return info


def alive(network: Network) -> BrokerInfo | None:
    info = network.broker_info()
    return info if info is not None and info.is_alive() else None


def rss_bytes(pid: int) -> int:
    """Memory that a process has in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def restart(network: Network) -> BrokerInfo:
    launch.stop(network, timeout=60)
    return launch.start(network, wait_s=60)
