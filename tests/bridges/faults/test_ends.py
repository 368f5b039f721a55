"""An end of a link, whose network comes and goes."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from ipcbus import links
from ipcbus.errors import IpcbusError
from ipcbus.transport import launch
from ipcbus_bridges.ends import NetworkEnd
from tests.bridges.town import DEV, PROD, Home
from tests.waiting import until

REPORT = {"way": "out", "state": "running"}


def test_what_is_asked_of_an_end_that_is_away_is_void(town: Home) -> None:
    """A bridge reports every second, also for the day that a network is down."""
    events: SimpleQueue[links.End] = SimpleQueue()
    answers: list[Any] = []

    def answered(value: Any, error: IpcbusError | None) -> None:
        answers.append(value)

    dev = town.network(DEV)
    end = NetworkEnd(DEV, PROD)
    end.open(events.put)
    try:
        _told(events, links.Up)
        with dev.starter_lock(30):
            launch.stop(dev)
            _told(events, links.Down)
            for _ in range(1000):
                end.report(REPORT, answered)
        launch.ensure(dev)
        _told(events, links.Up)
        end.report(REPORT, answered)
        until(lambda: bool(answers), "the last one is answered")
    finally:
        end.close()
    assert len(answers) == 1


def _told(events: SimpleQueue[links.End], kind: type[links.End]) -> None:
    while not isinstance(events.get(timeout=30), kind):
        pass
