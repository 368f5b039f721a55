"""A thread that reads while the socket's thread gives back what is unread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ipcbus.testing import MemoryLink
from tests.client.bus import Bus

FEW = 5


class Contended(deque[Any]):
    """Each time something is taken off, a reader comes just before and takes one."""

    def __init__(self, items: Iterable[Any], reader: Callable[[], None]) -> None:
        super().__init__(items)
        self._reader = reader
        self._inside = False

    def popleft(self) -> Any:
        self._race()
        return super().popleft()

    def pop(self) -> Any:  # type: ignore[override]
        self._race()
        return super().pop()

    def _race(self) -> None:
        if self._inside:
            return
        self._inside = True
        try:
            self._reader()
        finally:
            self._inside = False


def lose(link: MemoryLink) -> None:
    link.tracker.lost()


def stop(link: MemoryLink) -> None:
    link.tracker.intake.stop()


@pytest.mark.parametrize("how", [lose, stop])
def test_what_a_reader_takes_meanwhile_stands_before_all_that_is_given_back(
    bus: Bus, how: Callable[[MemoryLink], None]
) -> None:
    for number in range(20):
        bus.alice.submit("bob", str(number))
    bus.bob.read()
    bus.broker.settle_down()
    intake = bus.bob.tracker.intake
    unread = [message.seq for message in intake.buffer]
    taken: list[int] = []

    def read() -> None:
        if len(taken) < FEW and (message := intake.take_one(bus.clock.mono)):
            taken.append(message.seq)

    intake.buffer = Contended(intake.buffer, read)
    how(bus.bob)

    waiting = bus.bob.tracker.settling.waiting
    given_back = [settlement.message.seq for settlement in waiting]
    assert taken == unread[:FEW]
    assert given_back == unread[FEW:]
