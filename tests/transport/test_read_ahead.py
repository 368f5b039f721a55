"""What libzmq reads ahead of us: nothing that ends in the middle of it aborts the
broker, and it is bounded in bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from ipcbus.broker.events import Action, Received
from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.limits import MIB
from ipcbus.protocol.messages import Ping, Pong
from tests.faults.crew import rss_bytes
from tests.transport import zmtp
from tests.transport.loops import Loop, Script
from tests.transport.members import Members
from tests.transport.peers import send
from tests.transport.zmtp_walk import serves

pytestmark = pytest.mark.security

BURST = 200
HEARTBEATS = 20
LIVES = 20
FLOOD = 150
"""Messages of 1 MiB."""


def test_a_client_with_heartbeats_that_ends_in_a_burst_does_not_abort_the_broker(
    people: Members,
) -> None:
    """Of libzmq, a reader that was stopped by a high-water mark and goes on after its
    connection has ended answers a ping that it finds there, and aborts."""
    pair = people.register("mallory")
    ping = zmtp.named(b"PING", b"\0\0")
    for _ in range(LIVES):
        line = zmtp.Curve(int(people.broker.endpoint.rpartition(":")[2]))
        with contextlib.closing(line), contextlib.suppress(zmtp.Closed):
            line.enter(pair, people.broker.server_key)
            said = [zmtp.message(line, encode(Ping(1))) for _ in range(BURST)]
            beats = [line.wrap(ping, zmtp.COMMAND) for _ in range(HEARTBEATS)]
            line.say(*said, *beats)
            line.reset()
        serves(people)
    assert b"Assertion failed" not in people.log()


def test_a_flood_of_large_messages_costs_bounded_memory(
    people: Members, show: Callable[[str], None]
) -> None:
    """As fast as libzmq sends, and no answer is waited for: no client of ours does
    that. It is read in time, or cut."""
    mallory = people.peer(people.register("mallory"))
    mallory.hello()
    before = most = rss_bytes(people.broker.pid)
    large = b"." * limits.MAX_BODY

    def pour() -> None:
        with contextlib.suppress(zmq.ZMQError):
            for ref in range(FLOOD):
                mallory.say(send(ref, "mallory", large))

    pouring = threading.Thread(target=pour)
    pouring.start()
    while pouring.is_alive():
        serves(people)
        most = max(most, rss_bytes(people.broker.pid))
    pouring.join()
    ended = "cut" if b"more than could be read" in people.log() else "read in time"
    grown = (most - before) / MIB
    show(f"a flood of {FLOOD} MiB is {ended}: the broker +{grown:.0f} MiB")
    assert most - before < 256 * MIB


def test_whole_messages_that_nobody_comes_to_read_are_cut(tmp_path: Path) -> None:
    """The loop is slow: each of its turns is shorter than what comes meanwhile."""
    behind = threading.Event()

    def act(event: Received) -> list[Action] | None:
        behind.wait(0.02)
        return None

    with Loop(tmp_path, Script(act)) as loop:
        loop.sockets.watch._unread = 4 * MIB
        good, bad = loop.peer(), loop.peer()
        for peer in (good, bad):
            peer.hello()
        with contextlib.suppress(zmq.ZMQError):
            for ref in range(200):
                bad.say(send(ref, "bob", b"." * 256 * 1024))
        bad.event(zmq.EVENT_DISCONNECTED, bound=20.0)
        behind.set()
        good.ping(7)
        assert good.wait_for(Pong).number == 7
