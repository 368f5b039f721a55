"""A client process of the soak, see `city.City`:

    python citizen.py ROLE NETWORK NAME PEERS RATE LOG BOARD

It does all that agents do: mail to others here and in the other network, requests and
their answers, topics, mail that nobody reads in time, acks and nacks. What it writes
down, and how it is told to rest, is as in `tests.chaos.member`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import NoBroker
from tests.chaos import member
from tests.chaos.member import Book, outcome
from tests.faults.history import FAILED, STALE

TOPIC: Final = "news"
SLEEPER: Final = "sleeper"
"""Registered, and never there: mail for it ends with its time to live."""

TTL_S: Final = 1.0
WINDOW: Final = 256
FILLER: Final = "x" * 200
NACKED: Final = 50
"""One of so many messages is refused the first time it is seen."""

PLAN: Final = (
    *("topic", "ttl", "request", "request", "request far"),
    *("far",) * 4,
    *("near",) * 11,
)
"""What is sent in turn."""

LONGEST_S: Final = 0.05


class Flight:
    """A send under way. The answer comes in another thread, which notes when."""

    __slots__ = ("asked_at", "done_at", "id", "pending")

    def __init__(self, id_: str, pending: Pending[ipcbus.Receipt], at: float) -> None:
        self.id, self.pending, self.asked_at = id_, pending, at
        self.done_at = 0.0
        pending.add_done_callback(self._done)

    def _done(self, _: object) -> None:
        self.done_at = time.monotonic()


class Citizen:
    def __init__(
        self, client: ipcbus.Client, me: str, peers: list[str], rate: float, book: Book
    ) -> None:
        self._client, self._me, self._book = client, me, book
        self._near = [peer for peer in peers if "@" not in peer]
        self._far = [peer for peer in peers if "@" in peer]
        self._step = 1 / rate
        self._due = time.monotonic()
        self._number = self._steps = 0
        self._flying: deque[Flight] = deque()
        self._acks: deque[tuple[str, Pending[None]]] = deque()

    def full(self, name: str) -> str:
        return name if "@" in name else f"{name}@{self._client.network}"

    def live(self) -> None:
        """Until told to stop, and all is answered."""
        while not member.stopping or self._flying:
            self._send_what_is_due()
            self._read()
            self._note()
            self._book.tell(self._steps, member.paused and self._is_quiet())

    def _is_quiet(self) -> bool:
        return not self._flying and not self._acks

    # --- sending -----------------------------------------------------------

    def _send_what_is_due(self) -> None:
        now = time.monotonic()
        if member.stopping or member.paused:
            self._due = now
        while self._due < now and len(self._flying) < WINDOW:
            self._due += self._step
            self._send_next()
        # What could not be sent while nobody served is not made up for.
        self._due = max(self._due, now - self._step)

    def _send_next(self) -> None:
        self._number += 1
        kind = PLAN[self._number % len(PLAN)]
        turn = self._number // len(PLAN) + self._number
        near = self._near[turn % len(self._near)]
        far = self._far[turn % len(self._far)]
        id_ = f"{self._me}-{os.getpid()}-{self._number}"
        if kind == "topic":
            self._ask(f"#{TOPIC}", id_, kind)
        elif kind == "ttl":
            self._ask(SLEEPER, id_, kind, ttl=TTL_S)
        elif kind.startswith("request"):
            self._ask(far if "far" in kind else near, id_, "request", kind="request")
        else:
            self._ask(far if kind == "far" else near, id_, kind)

    def _ask(self, to: str, id_: str, row: str, body: str = "", **options: Any) -> None:
        self._book.write(("ask", self.full(to), self.full(id_), row))
        now = time.monotonic()
        body = body or f"{now} {FILLER}"
        pending = self._client.submit(to, body, id=id_, **options)
        self._flying.append(Flight(self.full(id_), pending, now))

    # --- reading -----------------------------------------------------------

    def _read(self) -> None:
        wait = 0.0 if member.stopping else min(self._due - time.monotonic(), LONGEST_S)
        if member.paused:
            wait = LONGEST_S
        try:
            found = self._client.receive(64, timeout=max(0.0, wait))
        except NoBroker:  # for the moment
            return
        if found:
            now = time.monotonic()
            self._book.write(*(self._row(message, now) for message in found))
            for message in found:
                self._handle(message)

    def _row(self, message: ipcbus.Message, now: float) -> tuple[Any, ...]:
        age = -1.0
        id_ = self.full(message.id)
        if message.kind == "bounce":
            id_ = self.full(message.data["id"])
        elif message.attempt == 1:
            age = now - float(str(message.body).partition(" ")[0])
        sender = self.full(message.sender)
        about = (message.seq, message.attempt, message.to, message.kind)
        return ("got", sender, id_, *about, round(age, 5))

    def _handle(self, message: ipcbus.Message) -> None:
        if message.attempt == 1 and message.seq % NACKED == 0:
            message.nack(reason="not now")
            return
        if message.kind == "request":
            self._answer(message)
        self._acks.append((self.full(message.id), message.ack()))

    def _answer(self, message: ipcbus.Message) -> None:
        """The same answer whoever gives it: its id and its words are the request's."""
        self._ask(
            message.sender,
            "re-" + message.id.replace("@", "-of-"),
            "reply",
            str(message.body),
            kind="reply",
            reply_to=message.id,
            thread=message.thread or message.id,
        )

    # --- what came of it ---------------------------------------------------

    def _note(self) -> None:
        rows = [*self._told(), *self._acked()]
        if rows:
            self._book.write(*rows)

    def _told(self) -> Iterator[tuple[Any, ...]]:
        while self._flying and (self._flying[0].done_at or member.stopping):
            flight = self._flying.popleft()
            said = outcome(flight.pending, FAILED)
            took = round(flight.done_at - flight.asked_at, 5)
            self._steps += 1
            yield ("told", flight.id, said, took)

    def _acked(self) -> Iterator[tuple[Any, ...]]:
        while self._acks and self._acks[0][1].done():
            id_, pending = self._acks.popleft()
            self._steps += 1
            yield ("acked", id_, outcome(pending, STALE))


def main() -> None:
    _, network, me, peers, rate, log, board = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, member.on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    book = Book(Path(log), Path(board))
    with ipcbus.connect(network, agent=me, timeout=60) as client:
        book.tell(0, False)
        Citizen(client, me, peers.split(","), float(rate), book).live()


if __name__ == "__main__":
    main()
