"""A foreign network in memory, and an end of it that is listened to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import pytest

from ipcbus import links
from ipcbus.protocol.messages import Move
from ipcbus_bridges.foreign import Foreign, Mail

T = TypeVar("T")

WAIT_S = 10.0
LOTS = (1000, 1 << 20)


class Shelf(Foreign):
    """A network in memory, with a fault for each thing that can go wrong."""

    poll_s = 0.01
    retry_s = 0.01

    def __init__(self, peer: str = "dev") -> None:
        super().__init__("shelf:somewhere", peer)
        self.taken: list[Mail] = []
        self.waits: list[Mail] = []
        self.over: list[str] = []
        self.fault: Callable[[Mail], None] = lambda mail: None
        self.begun = 0
        self.lost = False

    def begin(self) -> None:
        self.begun += 1
        if self.lost:
            raise ConnectionRefusedError("nobody is at home")

    def put(self, mail: Mail) -> None:
        self.fault(mail)
        self.taken.append(mail)

    def poll(self) -> Iterable[Mail]:
        if self.lost:
            raise ConnectionResetError("it hung up")
        return list(self.waits)

    def done(self, mail: Mail) -> None:
        self._forget(mail)
        self.over.append(mail.id)

    def refused(self, mail: Mail, status: str, reason: str) -> None:
        self._forget(mail)
        self.over.append(f"{mail.id}: {status} {reason}")

    def agents(self) -> Iterable[str]:
        return ("reader",)

    def _forget(self, mail: Mail) -> None:
        """Again is as good as once."""
        self.waits = [one for one in self.waits if one.id != mail.id]


class Ear:
    """What an end tells, in order."""

    def __init__(self) -> None:
        self.events: SimpleQueue[links.End] = SimpleQueue()

    def next(self, kind: type[T]) -> T:
        """The next event, which must be of this kind."""
        event = self.events.get(timeout=WAIT_S)
        assert isinstance(event, kind), event
        return event

    def nothing(self) -> None:
        """For as long as many polls take."""
        with pytest.raises(Empty):
            self.events.get(timeout=0.2)


@contextlib.contextmanager
def opened(shelf: Shelf) -> Iterator[Ear]:
    ear = Ear()
    shelf.open(ear.events.put)
    try:
        ear.next(links.Up)
        yield ear
    finally:
        shelf.close()


def move(id_: str = "m1", to: str = "reader@shelf", **fields: Any) -> Move:
    usual = (id_, "alice", to, "inform", 4, None, None, None, None, None, None)
    more = (b"d" * 32, 0, "default", 10, 1000, 1)
    return Move(*usual, *more)._replace(**fields)


def mail(id_: str = "n1", to: str = "bob@dev", **fields: Any) -> Mail:
    return Mail(id_, "reader", to, b"text")._replace(**fields)


def settle(shelf: Shelf, outcome: str, *seqs: int, delay_ms: int = 0) -> None:
    runs = [number for seq in seqs for number in (seq, 1, 1)]
    shelf.settle(7, [[outcome, "r", "5.1.1", "nobody", delay_ms, runs]])
