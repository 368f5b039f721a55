"""`news` over real sockets: a client waits for what is worth waking for."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import ipcbus
from ipcbus.errors import TimedOut
from ipcbus.networks import BrokerInfo

WAIT_MS = 20_000
BOUND_S = 30.0


@pytest.mark.usefixtures("broker")
def test_a_client_that_waits_is_woken_by_mail_and_not_by_a_receipt() -> None:
    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        told: list[Any] = []

        def wait() -> None:
            told.append(alice.call("news", 0, WAIT_MS, timeout=BOUND_S)[0])

        waiting = threading.Thread(target=wait)
        waiting.start()
        alice.send("bob", "hello", receipt="acked")
        (message,) = bob.receive(timeout=BOUND_S)
        message.ack().result(BOUND_S)
        while not alice.call("whoami")[0][3]:  # the receipt is on its way
            assert waiting.is_alive()
        assert told == []
        message.reply("hello yourself")
        waiting.join(BOUND_S)
        ((news, _, mail, paused),) = told
        assert (news, mail, paused) == (1, 2, False)
        assert {one.kind for one in alice.fetch(9)[0]} == {"ack", "reply"}


@pytest.mark.usefixtures("broker")
def test_the_wait_ends_in_time_and_a_client_that_leaves_meanwhile_is_not_held() -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        began = time.monotonic()
        assert alice.call("news", 0, 300)[0] == [0, 0, 0, False]
        assert 0.3 <= time.monotonic() - began < BOUND_S
        with pytest.raises(TimedOut):
            alice.call("news", 0, WAIT_MS, timeout=0.05)
        began = time.monotonic()
        alice.close(timeout=0.2)
        assert time.monotonic() - began < 5


def test_a_wait_goes_on_after_a_takeover(broker: BrokerInfo) -> None:
    from ipcbus import networks
    from tests.faults.crew import kill_broker

    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        pending = alice.start_call("news", 0, WAIT_MS)
        alice.call("whoami")
        kill_broker(networks.find("dev"))
        bob.send("alice", "still there?")
        assert pending.result(BOUND_S)[0] == [1, 1, 1, False]
