"""Members of a real network, by raw peers: an operator, and agents it registered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.messages import Answer, Call, Credit, Deliver
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair, generate
from tests.transport.peers import Peer


class Members:
    """Peers of one broker, closed together."""

    def __init__(self, network: Network, broker: BrokerInfo) -> None:
        self.broker = broker
        self._network = network
        self._peers: list[Peer] = []
        self.operator = self.peer(keys.load(network.operator_key))
        self.operator.hello()

    def peer(self, pair: KeyPair | None = None, **how: object) -> Peer:
        made = Peer(self.broker.endpoint, self.broker.server_key, pair, **how)  # type: ignore[arg-type]
        self._peers.append(made)
        return made

    def register(self, name: str) -> KeyPair:
        pair = generate()
        self.operator.say(Call(1, "register", [name, pair.public], b""))
        self.operator.wait_for(Answer)
        return pair

    def agent(self, name: str) -> Peer:
        """A new agent with a session."""
        peer = self.peer(self.register(name))
        assert peer.hello().agent == name
        return peer

    def log(self) -> bytes:
        return self._network.log.read_bytes()

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


@contextmanager
def members(network: Network, broker: BrokerInfo) -> Iterator[Members]:
    made = Members(network, broker)
    try:
        yield made
    finally:
        made.close()
        print(made.log()[-4000:].decode())  # shown if the test fails


def take(peer: Peer, bound: float = 10.0) -> Deliver:
    """Let it have one delivery."""
    peer.say(Credit(1, 1, 1 << 20, 60_000))
    return peer.wait_for(Deliver, bound)
