"""A process that is frozen (SIGSTOP) is neither gone nor there: the others must not
notice, and what it holds must come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.protocol.limits import MIB
from ipcbus.protocol.messages import (
    Accepted,
    Answer,
    Credit,
    Deliver,
    Pong,
)
from ipcbus.transport.keys import KeyPair
from tests.transport.members import Members
from tests.transport.peers import send

pytestmark = pytest.mark.chaos


def resident(people: Members) -> int:
    """Bytes of memory that the broker uses."""
    status = Path(f"/proc/{people.broker.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


FROZEN = """
import sys
from ipcbus.protocol.messages import Credit, Deliver
from ipcbus.transport.keys import KeyPair
from tests.transport.peers import Peer
endpoint, server, public, secret = sys.argv[1:]
peer = Peer(endpoint, server, KeyPair(public, secret), rcvhwm=1)
peer.hello()
peer.say(Credit(1, 8192, 64 << 20, 60_000))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def frozen(people: Members) -> Iterator[Callable[[str], KeyPair]]:
    """Start an agent of that name, let it ask for everything, and freeze it."""
    children: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> KeyPair:
        pair = people.register(name)
        endpoint, server = people.broker.endpoint, people.broker.server_key
        command = [sys.executable, "-c", FROZEN, endpoint, server, *pair]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        os.kill(child.pid, signal.SIGSTOP)
        return pair

    yield start
    for child in children:
        child.kill()
        child.communicate(timeout=10)


_ROOT = Path(__file__).parents[2]


def test_others_are_served_fast_while_a_frozen_agent_is_owed_much(
    people: Members, frozen: Callable[[str], KeyPair]
) -> None:
    frozen("sleepy")
    alice = people.agent("alice")
    before = resident(people)
    times = []
    for ref in range(400):
        began = time.monotonic()
        alice.say(send(ref, "sleepy", b"." * 64_000))
        assert isinstance(alice.hear(), Accepted)
        times.append(time.monotonic() - began)
    times.sort()
    assert times[380] < 0.1, "a commit of 64 KB, and no waiting for the frozen one"
    assert resident(people) - before < 96 * MIB


def test_what_a_frozen_agent_holds_goes_to_its_other_session(
    people: Members, frozen: Callable[[str], KeyPair]
) -> None:
    """Once it has missed its pings, long before its leases run out."""
    pair = frozen("sleepy")
    alice = people.agent("alice")
    alice.say(send(1, "sleepy", b"for whoever is awake"))
    assert isinstance(alice.hear(), Accepted)
    awake = people.peer(pair)
    awake.hello()
    awake.say(Credit(1, 1, 1000, 60_000))
    deadline = time.monotonic() + 15
    while not isinstance(message := awake.listen(1.0), Deliver):
        assert message is None or isinstance(message, (Answer, Pong))
        assert time.monotonic() < deadline
        awake.ping()
    assert message.bodies == [b"for whoever is awake"]
