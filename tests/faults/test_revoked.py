"""A key is revoked while its owner and others send as fast as they can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import ipcbus
from ipcbus.errors import IpcbusError, NotPermitted
from ipcbus.networks import BrokerInfo
from tests.faults.history import longest_gap
from tests.waiting import until

OTHERS = 4
ENOUGH = 100
GONE_S = 1.0
SLACK_S = 4.0
"""What a busy machine may add."""

pytestmark = [pytest.mark.chaos, pytest.mark.security]


class Sender:
    """Sends to a mailbox of its own, one after the other, until it is stopped or may
    not any more; when each was accepted."""

    def __init__(self, name: str) -> None:
        self.name, self.sink = name, f"sink-{name}"
        self.client = ipcbus.connect("dev", agent=name)
        ipcbus.connect("dev", agent=self.sink).close()
        self.accepted: list[float] = []
        self.problem: IpcbusError | None = None
        self.told_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._send)

    def start(self) -> None:
        self._thread.start()

    def _send(self) -> None:
        try:
            while not self._stopping:
                self.client.send(self.sink, "x", timeout=30)
                self.accepted.append(time.monotonic())
        except IpcbusError as problem:
            self.problem, self.told_at = problem, time.monotonic()

    def goes_on(self, count: int = ENOUGH) -> None:
        goal = len(self.accepted) + count
        until(lambda: len(self.accepted) >= goal, f"{self.name} sends {count} more")

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.client.close()


@contextmanager
def senders(*names: str) -> Iterator[list[Sender]]:
    made = [Sender(name) for name in names]
    for one in made:
        one.start()
    try:
        yield made
    finally:
        for one in made:
            one.stop()


def _waiting(status: dict[str, dict[str, dict[str, int]]], sender: Sender) -> int:
    return status["mailboxes"][sender.sink]["waiting"]


def test_it_sends_nothing_more_is_gone_in_a_second_and_others_feel_nothing(
    broker: BrokerInfo, show: Callable[[str], None]
) -> None:
    names = [f"other-{number}" for number in range(OTHERS)]
    with (
        ipcbus.connect("dev", agent="") as operator,
        senders("alice", *names) as (alice, *others),
    ):
        for one in (alice, *others):
            one.goes_on()
        sessions = operator.status()["sessions"]
        begun = time.monotonic()
        revoked = operator.start_call("revoke", "alice")
        asked = operator.start_call("status")  # heard right behind it
        revoked.result(10)
        returned = time.monotonic()
        stored = _waiting(asked.result(10)[0], alice)
        until(lambda: alice.problem is not None, "she is told")
        for one in others:
            one.goes_on()
        after = operator.status()

        assert isinstance(alice.problem, NotPermitted)
        assert _waiting(after, alice) == stored, "nothing of hers came in since"
        assert stored - len(alice.accepted) in (0, 1), "but for what was under way"
        assert after["sessions"] == sessions - 1
        assert all(one.client.connected and one.problem is None for one in others)
        told = max(0.0, alice.told_at - returned)
        gaps = [longest_gap([t for t in o.accepted if t >= begun - 1]) for o in others]
        with pytest.raises(NotPermitted):
            ipcbus.connect("dev", agent="alice")
    show(
        f"revoked in {1000 * (returned - begun):.0f} ms; her connection ended "
        f"{1000 * told:.0f} ms after that; 0 messages of hers since; the longest wait "
        f"of {OTHERS} others for one answer {1000 * max(gaps):.0f} ms"
    )
    assert told < GONE_S + SLACK_S
    assert max(gaps) < GONE_S + SLACK_S
