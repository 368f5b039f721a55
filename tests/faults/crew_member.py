"""A client process of the fault tests: `python crew_member.py ROLE ... `, see `Crew`.

It works until SIGTERM, then writes down what it saw. Its progress, one number, it
puts into its place on a board that the test reads.
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

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import IpcbusError, NoBroker, TimedOut
from tests.faults.history import FAILED, OK, STALE, UNKNOWN, Acked, Got, Seen, Sent

WINDOW = 32
ANSWER_S = 60.0
FEW_S = 0.1

Tell = Callable[[int], None]

_stopping = False


def _stop(number: int, frame: object) -> None:
    global _stopping
    _stopping = True


def send(client: ipcbus.Client, me: str, peers: list[str], tell: Tell) -> list[Sent]:
    """Send to all peers in turn, `WINDOW` at once, until told to stop."""
    done: list[Sent] = []
    flying: deque[tuple[str, str, Pending[ipcbus.Receipt]]] = deque()
    number = 0
    while not _stopping or flying:
        while not _stopping and len(flying) < WINDOW:
            number += 1
            to, id_ = peers[number % len(peers)], f"{me}-{number}"
            flying.append((to, id_, client.submit(to, f"text {number}", id=id_)))
        if flying:
            to, id_, pending = flying.popleft()
            done.append(Sent(me, to, id_, _outcome(pending), time.monotonic()))
            tell(len(done))
    return done


def _outcome(pending: Pending[ipcbus.Receipt]) -> str:
    try:
        pending.result(ANSWER_S)
    except (TimedOut, NoBroker):
        return UNKNOWN
    except IpcbusError:
        return FAILED
    return OK


def receive(client: ipcbus.Client, me: str, _: list[str], tell: Tell) -> list[Seen]:
    """Receive and ack until told to stop."""
    seen: list[Seen] = []
    acks: deque[tuple[str, Pending[None]]] = deque()
    count = 0
    while not _stopping:
        for message in _some(client):
            seen.append(
                Got(me, message.sender, message.id, message.seq, message.attempt)
            )
            acks.append((message.id, message.ack()))
            count += 1
        while acks and (acks[0][1].done() or len(acks) > 512):
            seen.append(_acked(me, *acks.popleft()))
        tell(count)
    seen += [_acked(me, *ack) for ack in acks]
    return seen


def _some(client: ipcbus.Client) -> list[ipcbus.Message]:
    try:
        return client.receive(64, timeout=FEW_S)
    except NoBroker:  # for the moment
        return []


def _acked(me: str, id_: str, ack: Pending[None]) -> Acked:
    try:
        ack.result(ANSWER_S)
    except (TimedOut, NoBroker):
        return Acked(me, id_, UNKNOWN)
    except IpcbusError:
        return Acked(me, id_, STALE)
    return Acked(me, id_, OK)


def _board(path: str, place: int) -> Tell:
    board = os.open(path, os.O_WRONLY)

    def tell(count: int) -> None:
        os.pwrite(board, struct.pack("<q", count), 8 * place)

    return tell


def main() -> None:
    role, network, me, peers, board, place, log = sys.argv[1:]
    signal.signal(signal.SIGTERM, _stop)
    tell = _board(board, int(place))
    work = send if role == "send" else receive
    with ipcbus.connect(network, agent=me, timeout=30) as client:
        tell(0)
        seen = work(client, me, peers.split(","), tell)
    with Path(log).open("w") as file:
        for one in seen:
            json.dump([type(one).__name__, *one], file)
            file.write("\n")


if __name__ == "__main__":
    main()
