"""Who is not a member, with each kind of key: nothing of it is accepted, and nobody's
name or mail is touched.

`tests/transport/test_identity.py` has the single ways in; here are all keys that exist
but are not those of a member, and what a forger can say before there is a name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import zmq
from zmq.utils.z85 import decode

import ipcbus
from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.errors import IpcbusError
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.messages import Accepted, Answer, Call, Credit, Hello
from ipcbus.transport import keys, launch
from ipcbus.transport.keys import KeyPair, generate, z85
from tests.transport.members import Members, take
from tests.transport.peers import Peer, send
from tests.waiting import until

pytestmark = pytest.mark.security


class World(NamedTuple):
    """Two networks with an operator each, `alice` in both and `bob` in dev."""

    dev: Members
    prod: BrokerInfo
    network: Network
    other: Network


@pytest.fixture
def world(network: Network, people: Members) -> World:
    other = networks.create("prod")
    return World(people, launch.start(other), network, other)


def invited(world: World) -> KeyPair:
    with ipcbus.connect("dev", agent="") as operator:
        line = invitations.invite(operator, "carol", 60)
    secret = invitations.read(line).secret
    return KeyPair(decode(zmq.curve_public(z85(secret))).hex(), secret)


def revoked(world: World) -> KeyPair:
    pair = world.dev.register("gone")
    world.dev.operator.say(Call(9, "revoke", ["gone"], b""))
    world.dev.operator.wait_for(Answer)
    return pair


def of_the_other_network(world: World) -> KeyPair:
    with ipcbus.connect("prod", agent="bob"):
        return keys.load(world.other.key_path("bob"))


def its_operator(world: World) -> KeyPair:
    return keys.load(world.other.operator_key)


def its_server(world: World) -> KeyPair:
    return keys.load(world.other.server_key)


def our_server(world: World) -> KeyPair:
    return keys.load(world.network.server_key)


def of_a_bridge(world: World) -> KeyPair:
    pair = generate()
    world.dev.operator.say(Call(8, "link", ["prod", pair.public, "both"], b""))
    world.dev.operator.wait_for(Answer)
    return pair


def anyones(world: World) -> KeyPair:
    return generate()


Kind = Callable[[World], KeyPair]
KEYS: list[Kind] = [
    *(anyones, invited, revoked, of_the_other_network, its_operator, its_server),
    *(our_server, of_a_bridge),
]


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.__name__)
def test_a_key_that_is_no_members_sends_nothing_and_reads_nothing(
    kind: Kind, world: World
) -> None:
    """It says all that a member would, without waiting to be welcome."""
    bob = world.dev.agent("bob")
    stranger = world.dev.peer(kind(world))
    try:
        for said in (
            send(1, "bob", b"forged"),
            Hello(limits.MAJOR, limits.MINOR, 0, "test"),
            send(2, "bob", b"forged"),
            Credit(1, 10, 1 << 20, 60_000),
            Call(3, "register", ["eve", generate().public], b""),
            Call(4, "revoke", ["bob"], b""),
            send(5, "bob", b"forged"),
        ):
            stranger.socket.send_multipart(_framed(said), zmq.NOBLOCK)
    except zmq.Again:
        pass  # it never came so far as to have a connection
    bob.say(send(2, "bob", b"mark"))
    bob.wait_for(Accepted)

    assert take(bob).bodies == [b"mark"]
    assert _heard(stranger) <= {"Closed", "Welcome", "Refused", "Answer", "Pong"}
    with ipcbus.connect("dev", agent="") as operator:
        assert "eve" not in {each.name for each in operator.agents()}
        known = operator.keys()
        live = {row.name for row in known if row.state == "live"}
        assert "bob" in live


def _framed(said: object) -> list[bytes]:
    return list(encode(said))  # type: ignore[arg-type]


def _heard(peer: Peer) -> set[str]:
    """The kinds of all that it hears within a moment."""
    heard = set()
    while (message := peer.listen(0.3)) is not None:
        heard.add(type(message).__name__)
    return heard


def test_the_key_of_an_invitation_does_one_thing_only(world: World) -> None:
    """Which is to name another key, once."""
    peer = world.dev.peer(invited(world))
    peer.hello()
    for number, name in enumerate(("agents", "whoami", "status", "keys", "shutdown")):
        peer.say(Call(number, name, [0] if name in ("agents", "keys") else [], b""))
        with pytest.raises(AssertionError):
            peer.wait_for(Answer, 0.2)
    assert launch.ensure(world.network).pid == world.dev.broker.pid


# --- plain and encrypted -----------------------------------------------------------


@pytest.fixture
def plain(home: object) -> Iterator[Members]:
    """Members of a network without encryption."""
    network = networks.create("open")
    network.save(network.saved()._replace(plain=True))
    made = Members(network, launch.start(network))
    yield made
    made.close()


def test_one_that_encrypts_does_not_come_into_a_plain_network(plain: Members) -> None:
    """A client that was told of a key speaks to nobody who cannot prove it."""
    bob = plain.agent("bob")
    pair = plain.operator.keys
    deceived = Peer(plain.broker.endpoint, generate().public, pair)
    try:
        with pytest.raises(AssertionError, match="event"):
            deceived.event(zmq.EVENT_HANDSHAKE_SUCCEEDED, bound=1.0)
        deceived.try_to_ping(1)
        assert deceived.hears_nothing(0.2)
    finally:
        deceived.close()
    bob.ping(2)


def test_in_a_plain_network_too_a_name_is_of_one_key(plain: Members) -> None:
    """There a key is a word that is shown, and still nobody else's is taken."""
    plain.agent("bob")
    for forged in ("bob", "admin", "ipcbus", "0" * 64, "F" * 64):
        peer = Peer(plain.broker.endpoint, "", KeyPair(forged, "0" * 64))
        try:
            peer.try_to_ping(1)
            assert peer.hears_nothing(0.2)
        finally:
            peer.close()


# --- revoked in the middle ------------------------------------------------------------


def test_of_a_stream_nothing_is_accepted_after_revoke_has_returned(
    world: World,
) -> None:
    """Nothing that was under way, in a socket or half read, counts either."""
    bob = world.dev.agent("bob")
    alice = world.dev.agent("alice")
    stop, sent = threading.Event(), []

    def stream() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            try:
                alice.socket.send_multipart(
                    _framed(send(number, "bob", b"x")), zmq.NOBLOCK
                )
                sent.append(number)
            except zmq.Again:
                stop.wait(0.001)

    streaming = threading.Thread(target=stream)
    with ipcbus.connect("dev", agent="") as operator:
        streaming.start()
        try:
            until(lambda: _accepted(operator) > 50, "the stream flows")
            operator.call("revoke", "alice")
            after, so_far = _accepted(operator), len(sent)
            alice_says_on = so_far + 20
            until(lambda: len(sent) > alice_says_on or _is_cut(alice), "it goes on")
            bob.say(send(1, "bob", b"mark"))
            bob.wait_for(Accepted)
            assert _accepted(operator) == after + 1, "the mark alone came in"
        finally:
            stop.set()
            streaming.join(10)


def _accepted(operator: ipcbus.Client) -> int:
    counters = operator.status()["counters"]
    return int(counters.get("accepted", 0))


def _is_cut(peer: Peer) -> bool:
    return bool(peer.monitor.poll(0))


# --- across ---------------------------------------------------------------------------


def test_nobody_reaches_another_network_without_a_bridge(world: World) -> None:
    """Neither by an address, nor by a topic, nor by a word to everyone."""
    with (
        ipcbus.connect("prod", agent="victim") as victim,
        ipcbus.connect("dev", agent="mallory") as mallory,
    ):
        victim.call("join", "news")
        for to in ("victim@prod", "victim@PROD", "victim"):
            with pytest.raises(IpcbusError):
                mallory.send(to, "across")
        with pytest.raises(IpcbusError):
            mallory.send("#news", "across")
        with pytest.raises(IpcbusError):
            mallory.send("*", "across")
        victim.send("victim", "mark")
        assert [m.body for m in victim.receive(10, timeout=5)] == ["mark"]
