"""A client process of the chaos runs, see `fleet.Member`:

    python member.py ROLE NETWORK NAME PEERS RATE LOG BOARD

It may be killed at any instruction, so it writes down each thing before it does it: a
send before it is submitted, a delivery before it is acked. SIGUSR1 lets it pause,
SIGUSR2 go on, SIGTERM end. Its board, two numbers, is how far it got and whether it is
at rest: paused, and nothing of its own under way.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import IpcbusError, NoBroker, TimedOut
from tests.faults.history import FAILED, OK, STALE, UNKNOWN

WINDOW = 32
ANSWER_S = 90.0
LOOK_S = 0.05
FEW_S = 0.05

paused = False
stopping = False


class Book:
    """What it did and what it was told, line by line: the kernel keeps it after us."""

    def __init__(self, log: Path, board: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._board = os.open(board, os.O_WRONLY)
        self._told = (-1, False)

    def write(self, *rows: tuple[Any, ...]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        os.write(self._log, text.encode())

    def tell(self, count: int, rest: bool) -> None:
        if (count, rest) != self._told:
            self._told = (count, rest)
            os.pwrite(self._board, struct.pack("<qq", count, rest), 0)


def outcome(pending: Pending[Any], refused: str, wait_s: float = ANSWER_S) -> str:
    try:
        pending.result(wait_s)
    except (TimedOut, NoBroker):
        return UNKNOWN
    except IpcbusError:
        return refused
    return OK


def send(
    client: ipcbus.Client, me: str, peers: list[str], rate: float, book: Book
) -> None:
    """Send to all peers in turn, `rate` a second; ids hold the pid, so that the next
    process of this name does not use them again."""
    flying: deque[tuple[str, Pending[ipcbus.Receipt]]] = deque()
    number = answered = 0
    due = time.monotonic()

    def something() -> bool:
        return _moves(flying) or time.monotonic() >= due

    while not stopping or flying:
        now = time.monotonic()
        if not (stopping or paused) and now >= due and len(flying) < WINDOW:
            due = max(due + 1 / rate, now)
            number += 1
            to, id_ = peers[number % len(peers)], f"{me}-{os.getpid()}-{number}"
            book.write(("ask", me, to, id_))
            flying.append((id_, client.submit(to, f"text {number}", id=id_)))
        while _moves(flying) or (stopping and flying):
            id_, pending = flying.popleft()
            book.write(("told", id_, outcome(pending, FAILED), time.monotonic()))
            answered += 1
        book.tell(answered, paused and not flying)
        until(something, LOOK_S)


def _moves(flying: deque[tuple[str, Pending[ipcbus.Receipt]]]) -> bool:
    return bool(flying) and flying[0][1].done()


def until(condition: Callable[[], bool], bound_s: float) -> None:
    """Wait for a condition, and no longer than the bound."""
    deadline = time.monotonic() + bound_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


def receive(
    client: ipcbus.Client, me: str, _: list[str], __: float, book: Book
) -> None:
    """Receive and ack until told to stop."""
    acks: deque[tuple[str, Pending[None]]] = deque()
    count = 0
    while not stopping or acks:
        found = [] if stopping else some(client)
        if found:
            book.write(*(("got", me, m.sender, m.id, m.seq, m.attempt) for m in found))
            acks.extend((message.id, message.ack()) for message in found)
            count += len(found)
        while acks and (acks[0][1].done() or stopping):
            id_, ack = acks.popleft()
            book.write(("acked", me, id_, outcome(ack, STALE)))
        book.tell(count, not acks)


def some(client: ipcbus.Client) -> list[ipcbus.Message]:
    try:
        return client.receive(64, timeout=FEW_S)
    except NoBroker:  # for the moment
        return []


def on_signal(number: int, frame: object) -> None:
    global paused, stopping
    stopping = stopping or number == signal.SIGTERM
    paused = number == signal.SIGUSR1


def main() -> None:
    role, network, me, peers, rate, log, board = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    book = Book(Path(log), Path(board))
    work = send if role == "send" else receive
    with ipcbus.connect(network, agent=me, timeout=60) as client:
        book.tell(0, False)
        work(client, me, peers.split(","), float(rate), book)


if __name__ == "__main__":
    main()
