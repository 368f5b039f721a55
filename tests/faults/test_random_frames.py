"""100,000 random frames: refused or cut, nothing delivered, the broker's memory flat.

Some are noise, some are real messages with a few bytes changed, which get further into
the broker. They come from a member: nobody else gets to say a frame.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import zmq

import ipcbus
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol import limits
from ipcbus.protocol.codec import Frames, encode
from ipcbus.protocol.messages import Call, Credit, Hello, Ping, Settle
from ipcbus.transport import keys
from tests.faults.crew import alive, rss_bytes, status
from tests.transport.peers import Peer, send

MESSAGES = 100_000
A_PEER = 250
"""Messages said on one connection: what the broker reads in a turn, before it cuts."""
AT_ONCE = 40
WARM_UP = 20_000
GROWTH = 16 * 1024 * 1024

HELLO = encode(Hello(limits.MAJOR, limits.MINOR, 0, "noise"))
REAL: list[Frames] = [
    encode(send(1, "nobody", b"body", b"another body")),
    encode(Settle(2, [1, 5, 1], [[9, 1, 0, None]], [[8, 1, 5000]], [3, 1, 1])),
    encode(Credit(3, 100, 100_000, 5_000)),
    encode(Call(4, "history", [10, None, None, None, 100], b"")),
    encode(Ping(5)),
]

pytestmark = [pytest.mark.security, pytest.mark.chaos]


@pytest.mark.timeout(180)
def test_random_frames_deliver_nothing_and_cost_no_memory(
    network: Network, broker: BrokerInfo, show: Callable[[str], None]
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for name in ("mallory", "bob"):
        ipcbus.connect("dev", agent=name).close()
    pair = keys.load(network.key_path("mallory"))
    said, before = 0, 0
    with ipcbus.connect("dev", agent="bob") as bob:
        while said < MESSAGES:
            _round(broker, pair, chance)
            said += AT_ONCE * A_PEER
            if said == WARM_UP:
                before = rss_bytes(broker.pid)
            bob.send("bob", str(said), id=f"s{said}")
            assert [m.id for m in _taken(bob)] == [f"s{said}"], "others are served"
        assert bob.epoch == broker.epoch
    grown = rss_bytes(broker.pid) - before
    told = status(network)
    show(f"{said} random messages: broker +{grown / 2**20:.1f} MiB")
    info = alive(network)
    assert info is not None
    assert info.pid == broker.pid
    assert grown < GROWTH
    assert told["mailboxes"].keys() <= {"bob", "mallory", "nobody"}
    assert told["counters"]["accepted"] == told["counters"]["acked"]


def _round(broker: BrokerInfo, pair: keys.KeyPair, chance: random.Random) -> None:
    """Noise on some connections at once. Ends when the broker has cut them all."""
    peers = [Peer(broker.endpoint, broker.server_key, pair) for _ in range(AT_ONCE)]
    try:
        for peer in peers:
            peer.frames(*HELLO)
            for _ in range(A_PEER):
                peer.frames(*_noise(chance))
            peer.frames(b"", b"", b"")  # in case that all of it was good
        for peer in peers:
            peer.event(zmq.EVENT_DISCONNECTED)
    finally:
        for peer in peers:
            peer.close()


def _noise(chance: random.Random) -> list[bytes]:
    kind = chance.random()
    if kind < 0.3:
        return [
            chance.randbytes(chance.randrange(80)) for _ in range(chance.randint(1, 4))
        ]
    head, body = chance.choice(REAL)
    if kind < 0.5:
        return [head, body]
    changed = bytearray(head)
    for _ in range(chance.randint(1, 3)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return [bytes(changed), body]


def _taken(client: ipcbus.Client) -> list[ipcbus.Message]:
    found = client.receive(10, timeout=30)
    for message in found:
        message.ack().result(30)
    return found
