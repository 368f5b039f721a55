"""Bytes that were said once and are said again: by one who recorded them between a
client and its broker, into a new connection or into the same one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import zmq

from ipcbus.networks import BrokerInfo
from ipcbus.protocol.messages import Accepted, Credit, Deliver
from tests.transport.members import Members
from tests.transport.peers import Peer, send

pytestmark = pytest.mark.security


GREETING, WELCOME = 64, 170
"""Bytes that a broker says to anybody who knows its key (ZMTP 3.1, CurveZMQ)."""


class Between:
    """Stands between one client and the broker, and keeps what the client says."""

    def __init__(self, broker: BrokerInfo) -> None:
        self._at = ("127.0.0.1", int(broker.endpoint.rpartition(":")[2]))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.pieces: list[bytes] = []
        self._threads = [threading.Thread(target=self._carry)]
        self._threads[0].start()

    def _carry(self) -> None:
        client, _ = self._listening.accept()
        self.server = socket.create_connection(self._at)
        back = threading.Thread(target=pump, args=(self.server, client))
        self._threads.append(back)
        back.start()
        pump(client, self.server, self.pieces)

    def again(self) -> None:
        """Say the last piece once more, in the same connection."""
        self.server.sendall(self.pieces[-1])

    def all_again(self) -> bytes:
        """Say it all in a new one; what is answered until that is closed."""
        heard = b""
        with socket.create_connection(self._at, timeout=10) as another:
            try:
                for piece in self.pieces:
                    another.sendall(piece)
                while piece := another.recv(65536):
                    heard += piece
            except ConnectionError:
                pass
        return heard

    def close(self) -> None:
        self._listening.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def pump(
    source: socket.socket, target: socket.socket, kept: list[bytes] | None = None
) -> None:
    """Carry bytes until either side ends; then both have ended."""
    try:
        while piece := source.recv(65536):
            if kept is not None:
                kept.append(piece)
            target.sendall(piece)
    except OSError:
        pass
    for each in (source, target):
        with each, suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def between(broker: BrokerInfo) -> Iterator[Between]:
    made = Between(broker)
    yield made
    made.close()


def recorded(people: Members, between: Between) -> Peer:
    """A client that has sent bob one message by way of the recorder."""
    pair = people.register("alice")
    alice = Peer(between.endpoint, people.broker.server_key, pair)
    alice.hello()
    before = len(between.pieces)
    alice.say(send(1, "bob", b"pay 100"))
    alice.wait_for(Accepted)
    assert len(between.pieces) > before
    assert not any(b"pay 100" in piece for piece in between.pieces), "it is encrypted"
    return alice


def until_mark(peer: Peer) -> list[bytes]:
    """All that it is given, to the one that was sent last."""
    peer.say(Credit(1, 10, 1 << 20, 60_000))
    bodies: list[bytes] = []
    while b"mark" not in bodies:
        bodies += peer.wait_for(Deliver).bodies
    return bodies


def test_a_connection_that_is_replayed_says_nothing(
    people: Members, between: Between
) -> None:
    """The broker's short-term key is another one, so its cookie is not understood."""
    bob = people.agent("bob")
    alice = recorded(people, between)
    try:
        heard = between.all_again()
        assert len(heard) <= GREETING + WELCOME, "it was not told READY"
        bob.say(send(1, "bob", b"mark", ids="b"))
        bob.wait_for(Accepted)
        assert until_mark(bob) == [b"pay 100", b"mark"]
    finally:
        alice.close()


def test_a_frame_that_is_said_twice_ends_the_connection(
    people: Members, between: Between
) -> None:
    """Each has a number that must grow; one that is old is none of the client's."""
    bob = people.agent("bob")
    alice = recorded(people, between)
    try:
        between.again()
        alice.event(zmq.EVENT_DISCONNECTED, bound=5.0)
        bob.say(send(1, "bob", b"mark", ids="b"))
        bob.wait_for(Accepted)
        assert until_mark(bob) == [b"pay 100", b"mark"]
    finally:
        alice.close()


def test_a_send_that_is_said_again_by_its_sender_is_the_same_message(
    people: Members,
) -> None:
    """By the same key in another connection: the first answer again, one message. With
    other content, or by another sender, its id is refused."""
    bob, eve = people.agent("bob"), people.agent("eve")
    pair = people.register("alice")
    for _ in range(2):
        alice = people.peer(pair)
        alice.hello()
        alice.say(send(1, "bob", b"pay 100"))
        told = alice.wait_for(Accepted).exceptions
        assert [row[1] for row in told] in ([], ["accepted"])
        alice.close()
    alice = people.peer(pair)
    alice.hello()
    for peer, body in ((alice, b"pay 999"), (eve, b"pay 100")):
        peer.say(send(1, "bob", body))
        assert peer.wait_for(Accepted).exceptions[0][1] == "id_clash"
    bob.say(send(1, "bob", b"mark", ids="b"))
    bob.wait_for(Accepted)
    assert until_mark(bob) == [b"pay 100", b"mark"]
