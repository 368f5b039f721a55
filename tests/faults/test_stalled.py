"""Consumers that stop and go on, again and again: nobody dies of it, neither they nor
the broker, and the others hardly notice.

A client of libzmq that does not read while its connection ends, or that has heartbeats
of ZMTP on, may abort (`Assertion failed`, exit code -6). Ours is made so that it does
not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.limits import MIB
from ipcbus.transport import keys, launch
from tests.faults.crew import PROJECT, Crew, Member, alive, crew, kill_broker, rss_bytes
from tests.faults.history import OK, violations
from tests.faults.test_frozen import frozen
from tests.waiting import until

pytestmark = pytest.mark.chaos

TRIPS = 300
FLOOD = 3_000
STALLED = 8
"""Consumers that are stopped at a time."""

SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]


# --- the others ---------------------------------------------------------------------


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_others_hardly_notice_that_a_consumer_has_stopped_under_a_flood(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    """The same flood, to a consumer that reads and to the same one stopped."""
    info = launch.start(network)
    with (
        member("receive", "sleeper", tmp_path) as sleeper,
        member("send", "flooder", tmp_path, "sleeper") as flooder,
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        reading = trips(alice, bob, flooder)
        before = rss_bytes(info.pid)
        with frozen(sleeper.process.pid):
            stopped = trips(alice, bob, flooder)
            grown = rss_bytes(info.pid) - before
        flooder.end()
        sent = len(flooder.seen())
        until(lambda: sleeper.progress >= sent, "all of the flood arrives", 90)
        sleeper.end()
    show(f"round trip of others, consumer reads: {spread(reading)}")
    show(f"round trip of others, consumer stopped: {spread(stopped)}")
    show(f"flood of {sent}; broker {grown / MIB:+.1f} MiB while the consumer stopped")
    assert grown < 32 * MIB
    assert p99(stopped) < 5 * p99(reading) + 0.1


@contextmanager
def member(role: str, name: str, folder: Path, *peers: str) -> Iterator[Member]:
    made = Member(role, "dev", name, peers, folder)
    try:
        until(lambda: made.progress >= 0, f"{name} is connected")
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def trips(alice: ipcbus.Client, bob: ipcbus.Client, flooder: Member) -> list[float]:
    """Seconds from send to the receiver's hands, of many, while the flood goes on."""
    goal = flooder.progress + FLOOD
    took: list[float] = []
    while len(took) < TRIPS or flooder.progress < goal:
        at = time.monotonic()
        alice.send("bob", "there?", timeout=30)
        (message,) = bob.receive(timeout=30)
        took.append(time.monotonic() - at)
        message.ack()
    return took


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def spread(values: list[float]) -> str:
    median = sorted(values)[len(values) // 2]
    return (
        f"p50 {1000 * median:.1f} ms, p99 {1000 * p99(values):.1f} ms, "
        f"longest {1000 * max(values):.0f} ms of {len(values)}"
    )


# --- themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "rounds", [pytest.param(3, id="24"), pytest.param(25, id="200", marks=SLOW)]
)
def test_no_client_and_no_broker_aborts_when_consumers_stop_and_go_on(
    network: Network, tmp_path: Path, rounds: int, show: Callable[[str], None]
) -> None:
    """In every other round the broker is killed meanwhile: then each of them wakes up
    to a full inbox and a connection that has ended."""
    info = launch.start(network)
    kills = 0
    with crew(network, tmp_path, senders=2, receivers=STALLED) as clients:
        clients.advance(20)
        for number in range(rounds):
            killed = number % 2 == 1
            kills += killed
            stop_and_go_on(clients, network, kill=killed)
        sent = clients.stop_sending()
        seen = clients.stop_receiving()  # each must end with exit code 0
        last = alive(network)
        assert last is not None
        assert last.epoch == info.epoch + kills, "a broker ended by itself"
    show(
        f"{rounds * STALLED} consumers stopped, {kills} brokers killed meanwhile: "
        f"{len(sent)} accepted, nobody aborted"
    )
    assert violations(sent, seen) == []
    assert {one.outcome for one in sent} == {OK}


def stop_and_go_on(clients: Crew, network: Network, *, kill: bool) -> None:
    with ExitStack() as stopped:
        for consumer in clients.receivers:
            stopped.enter_context(frozen(consumer.process.pid))
        goals = [(sender, sender.progress + 400) for sender in clients.senders]
        until(lambda: all(one.progress >= goal for one, goal in goals), "mail waits")
        if kill:
            killed = kill_broker(network)
            until(lambda: succeeds(network, killed), "a takeover")
    clients.advance(20)
    ended = {one.name: one.process.poll() for one in clients.members}
    assert set(ended.values()) == {None}, f"exit codes {ended}"


def succeeds(network: Network, before: BrokerInfo) -> bool:
    info = alive(network)
    return info is not None and info.epoch > before.epoch


# --- others' clients ----------------------------------------------------------------

HEARTBEATS = """
import resource, sys
import zmq
from ipcbus.protocol.codec import encode
from ipcbus.protocol.messages import Ping
from ipcbus.transport.keys import KeyPair
from tests.transport.peers import Peer
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
endpoint, server, public, secret, count = sys.argv[1:]
peers = []
for _ in range(int(count)):
    peer = Peer(endpoint, server, KeyPair(public, secret), rcvhwm=1, heartbeat_ms=200)
    peer.hello()
    peers.append(peer)
for peer in peers:
    for number in range(500):
        peer.say(Ping(number))
for peer in peers:  # without reading, until a heartbeat is missed
    peer.event(zmq.EVENT_DISCONNECTED)
for peer in peers:
    while peer.socket.poll(100):
        peer.socket.recv_multipart()
"""


@pytest.mark.parametrize(
    "cycles", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=SLOW)]
)
def test_a_broker_outlives_stalled_consumers_that_have_heartbeats_of_zmtp(
    network: Network, broker: BrokerInfo, cycles: int, show: Callable[[str], None]
) -> None:
    """Programs of others, which may abort themselves: that is their own affair."""
    ipcbus.connect("dev", agent="other").close()
    pair = keys.load(network.key_path("other"))
    codes: Counter[int] = Counter()
    with ipcbus.connect("dev", agent="bob") as bob:
        for _ in range(cycles // 20):
            codes.update(stall(broker, [*pair, "4"], processes=5))
            bob.send("bob", "there?")
            (message,) = bob.receive(timeout=30)
            message.ack()
        print(network.log.read_text()[-4000:])  # shown if a broker ended
        assert bob.epoch == broker.epoch
    info = alive(network)
    assert info is not None
    assert info.pid == broker.pid
    aborted = codes[-signal.SIGABRT]
    show(
        f"{cycles} stalled consumers with heartbeats: {aborted} of "
        f"{codes.total()} processes of theirs aborted, the broker did not"
    )


def stall(broker: BrokerInfo, words: list[str], processes: int) -> list[int]:
    """Run such consumers; their exit codes."""
    command = [sys.executable, "-c", HEARTBEATS, broker.endpoint, broker.server_key]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    children = [
        subprocess.Popen([*command, *words], env=environment, stderr=subprocess.DEVNULL)
        for _ in range(processes)
    ]
    try:
        return [child.wait(60) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
