"""Senders and receivers that may be killed and replaced, and what all of them saw."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ipcbus
from ipcbus.networks import Network
from tests.faults.crew import BOUND_S, PROJECT, status
from tests.faults.history import UNKNOWN, Acked, Got, Seen, Sent
from tests.waiting import until

MEMBER = Path(__file__).with_name("member.py")
DRAIN_S = 120.0


class Size(NamedTuple):
    """How many of each; `rate`: messages a second of each sender."""

    senders: int
    receivers: int
    rate: float


class History(NamedTuple):
    """What was asked for and seen between two moments of rest."""

    sent: list[Sent]
    seen: list[Seen]


class Member:
    """One name, and the process that has it now."""

    def __init__(
        self,
        role: str,
        network: str,
        name: str,
        peers: list[str],
        rate: float,
        folder: Path,
        script: Path = MEMBER,
    ) -> None:
        self.role, self.name = role, name
        self._script = script
        self._log, self._board = folder / f"{name}.log", folder / f"{name}.board"
        self._log.touch()
        self._read = 0
        self._words = [
            role,
            network,
            name,
            ",".join(peers),
            rate,
            self._log,
            self._board,
        ]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._board.write_bytes(struct.pack("<qq", -1, 0))
        return subprocess.Popen(
            [sys.executable, str(self._script), *map(str, self._words)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )

    @property
    def progress(self) -> int:
        """Sends answered or messages received by this process; -1: not connected."""
        count: int = struct.unpack("<qq", self._board.read_bytes())[0]
        return count

    @property
    def at_rest(self) -> bool:
        return bool(struct.unpack("<qq", self._board.read_bytes())[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def replace(self) -> None:
        """kill -9, and the next process of that name."""
        self.kill()
        self.process = self._start()
        until(lambda: self.progress >= 0, f"{self.name} is back", 60)

    def news(self) -> list[list[Any]]:
        """What it wrote down since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]  # it may be writing at this moment
        self._read += len(text)
        return rows_of(text)

    def forget(self) -> None:
        """Give back the room of what was read. For one that is at rest."""
        os.truncate(self._log, 0)
        self._read = 0


class Fleet:
    """Senders s0, s1, ... to receivers r0, r1, ...; each can start the next broker."""

    def __init__(self, network: Network, folder: Path, size: Size) -> None:
        self.network = network
        names = [f"r{at}" for at in range(size.receivers)]
        self.receivers: list[Member] = []
        self.senders: list[Member] = []
        try:
            for name in names:
                member = Member("receive", network.name, name, [], size.rate, folder)
                self.receivers.append(member)
            self._connected()
            for at in range(size.senders):
                member = Member(
                    "send", network.name, f"s{at}", names, size.rate, folder
                )
                self.senders.append(member)
            self._connected()
        except BaseException:
            self.kill()
            raise

    @property
    def members(self) -> list[Member]:
        return self.senders + self.receivers

    def _connected(self) -> None:
        until(
            lambda: all(m.progress >= 0 for m in self.members), "all are connected", 60
        )

    def advance(self, count: int, bound: float = BOUND_S) -> None:
        """Wait until each of them has got `count` further."""
        goals = [(member, member.progress + count) for member in self.members]
        until(
            lambda: all(member.progress >= goal for member, goal in goals),
            f"all go on: {[(m.name, m.progress, goal) for m, goal in goals]}",
            bound,
        )

    def rest(self) -> History:
        """Let all that is under way end; what was seen since the last rest."""
        names = [receiver.name for receiver in self.receivers]
        for sender in self.senders:
            sender.signal(signal.SIGUSR1)
        until(lambda: all(s.at_rest for s in self.senders), "all is answered", DRAIN_S)
        until(
            lambda: waiting(self.network, names) == 0,
            "the mailboxes are empty",
            DRAIN_S,
        )
        until(lambda: all(r.at_rest for r in self.receivers), "all is acked", DRAIN_S)
        return self._history()

    def go_on(self) -> None:
        for sender in self.senders:
            sender.signal(signal.SIGUSR2)

    def _history(self) -> History:
        sent = [one for sender in self.senders for one in sent_by(sender.news())]
        seen = [one for each in self.receivers for one in seen_by(each.news())]
        return History(sent, seen)

    def kill(self) -> None:
        for member in self.members:
            member.kill()


@contextmanager
def fleet(network: Network, folder: Path, size: Size) -> Iterator[Fleet]:
    made = Fleet(network, folder, size)
    try:
        yield made
    finally:
        made.kill()


def waiting(network: Network, names: list[str]) -> int:
    """Messages in their mailboxes that are not acked."""
    boxes = status(network)["mailboxes"]
    found = [boxes[name] for name in names if name in boxes]
    return sum(box["waiting"] + box["leased"] for box in found)


def given_up(network: Network) -> set[tuple[str, str]]:
    """Recipient and id of each dead letter: an end that was promised and told."""
    found: set[tuple[str, str]] = set()
    after, more = 0, True
    with ipcbus.connect(network.name, agent="", timeout=30) as operator:
        while more:
            letters, more = operator.dead(100, after=after)
            for letter in letters:
                found.add((letter.mailbox, letter.header.id))
                after = letter.seq
    return found


def rows_of(text: bytes) -> list[list[Any]]:
    """The half line of a process that was killed counts for nothing."""
    return [json.loads(row) for row in text.splitlines(keepends=True) if b"\n" in row]


def sent_by(rows: list[list[Any]]) -> list[Sent]:
    """In the order of asking; what a killed process was never told is unknown."""
    told = {row[1]: (row[2], row[3]) for row in rows if row[0] == "told"}
    asked = [row[1:] for row in rows if row[0] == "ask"]
    return [
        Sent(sender, to, id_, *told.get(id_, (UNKNOWN, 0.0)))
        for sender, to, id_ in asked
    ]


def seen_by(rows: list[list[Any]]) -> list[Seen]:
    return [Got(*row[1:]) if row[0] == "got" else Acked(*row[1:]) for row in rows]
