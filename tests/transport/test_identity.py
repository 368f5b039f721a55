"""Who may come in, and that nobody can speak or hear as another.

Each test is a way in that was open in some system: a wrong key, no key, another's
name, another's routing id, a gate that does not work.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import zmq
from msgpack import packb

from ipcbus import networks
from ipcbus.errors import CannotServe, UsageError
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.codec import encode
from ipcbus.protocol.messages import Accepted, Answer, Call, Closed, Ping, Pong
from ipcbus.transport import launch
from ipcbus.transport.keys import generate
from ipcbus.transport.router import open_router
from ipcbus.transport.selftest import check_gate
from ipcbus.transport.sockets import Sockets
from ipcbus.transport.zap import Gate
from tests.transport.loops import Loop
from tests.transport.members import Members, take
from tests.transport.peers import Peer, draft, send
from tests.waiting import until

pytestmark = pytest.mark.security


# --- who may come in -----------------------------------------------------------


def test_a_key_that_nobody_admitted_is_refused(people: Members) -> None:
    stranger = people.peer()
    assert stranger.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    stranger.try_to_ping(1)
    assert stranger.hears_nothing(0.2)


def test_a_client_finds_out_that_the_servers_key_is_wrong(
    network: Network, broker: BrokerInfo, people: Members
) -> None:
    """It ends in the handshake, before the client has said anything."""
    pair = people.register("alice")
    deceived = Peer(broker.endpoint, generate().public, pair)
    try:
        deceived.event(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, bound=5.0)
        assert deceived.hears_nothing(0.1)
    finally:
        deceived.close()


@pytest.mark.parametrize("mechanism", ["NULL", "PLAIN"])
def test_a_client_without_encryption_is_refused(
    broker: BrokerInfo, people: Members, mechanism: str
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = context.socket(zmq.DEALER)
    client.linger = 0
    if mechanism == "PLAIN":
        client.plain_username = people.operator.keys.public.encode()
    monitor = client.get_monitor_socket(
        zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    )
    client.connect(broker.endpoint)
    try:
        assert monitor.poll(5000)
        report, _ = monitor.recv_multipart()
        event = int.from_bytes(report[:2], "little")
        assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED
    finally:
        client.disable_monitor()
        monitor.close(linger=0)
        client.close(linger=0)
        context.term()


def test_a_key_that_is_admitted_later_comes_in_then(people: Members) -> None:
    pair = generate()
    early = people.peer(pair)
    early.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    early.close()
    people.operator.say(Call(1, "register", ["late", pair.public], b""))
    people.operator.wait_for(Answer)
    assert people.peer(pair).hello().agent == "late"


def test_a_revoked_agent_is_cut_within_a_second_and_stays_out(people: Members) -> None:
    alice, bob = people.agent("alice"), people.agent("bob")
    people.operator.say(Call(2, "revoke", ["alice"], b""))
    people.operator.wait_for(Answer)
    answered = time.monotonic()
    alice.say(send(1, "bob", b"after the revocation"))
    alice.event(zmq.EVENT_DISCONNECTED, bound=1.0)
    assert time.monotonic() - answered < 1.0
    alice.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    bob.say(send(2, "bob", b"mark"))
    bob.wait_for(Accepted)
    assert take(bob).bodies == [b"mark"], "nothing of the revoked one arrived"


def test_members_are_not_disturbed_by_the_revocation_of_another(
    people: Members,
) -> None:
    alice = people.agent("alice")
    people.agent("bob")
    people.operator.say(Call(2, "revoke", ["bob"], b""))
    people.operator.wait_for(Answer)
    until(lambda: b"may not connect" in people.log(), "it is expelled")
    alice.ping(1)
    assert alice.wait_for(Pong).number == 1
    with pytest.raises(AssertionError, match="no event"):
        alice.event(zmq.EVENT_DISCONNECTED, bound=0.6)


def test_several_sessions_of_one_key_are_allowed(people: Members) -> None:
    pair = people.register("alice")
    assert [people.peer(pair).hello().agent for _ in range(3)] == ["alice"] * 3


def test_a_member_of_one_network_is_none_of_another(
    network: Network, people: Members
) -> None:
    pair = people.register("alice")
    other = launch.start(networks.create("prod"))
    visitor = Peer(other.endpoint, other.server_key, pair)
    try:
        assert visitor.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    finally:
        visitor.close()


# --- nobody speaks as another --------------------------------------------------


def test_the_sender_is_who_holds_the_key(people: Members) -> None:
    alice, bob = people.agent("alice"), people.agent("bob")
    alice.say(send(1, "bob", b"x"))
    assert take(bob).headers[0].sender == "alice"


def test_a_header_with_a_sender_in_it_is_refused(people: Members) -> None:
    """A field more than a header has, wherever somebody may look for it."""
    mallory, bob = people.agent("mallory"), people.agent("bob")
    forged = [*draft("f-1", "bob"), "alice"]
    mallory.frames(packb([4, 1, [forged], [1]]), b"x")
    assert mallory.wait_for(Closed).code == "remote_protocol"
    bob.say(send(2, "bob", b"mark"))
    assert take(bob).bodies == [b"mark"]


def test_metadata_of_the_connection_changes_nobodys_name(people: Members) -> None:
    """A client may send properties with its handshake; ours come from the gate."""
    peer = people.peer(people.register("mallory"))
    with pytest.raises(zmq.ZMQError):
        peer.socket.setsockopt(zmq.METADATA, b"User-Id:admin")
    peer.socket.setsockopt(zmq.METADATA, b"X-User-Id:admin")
    assert peer.hello().agent == "mallory"


def test_a_routing_id_that_a_client_sets_gets_it_nowhere(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        victim = loop.peer()
        victim.hello()
        theirs = next(iter(loop.sockets.watch.known))
        for wanted in (b"chosen", b"x" * 5):
            mallory = loop.peer(routing_id=wanted)
            mallory.ping()
            mallory.event(zmq.EVENT_DISCONNECTED, bound=2.0)
            assert mallory.hears_nothing(0.1)
            mallory.close()
            loop.forget(mallory)
        heard = {event.peer for event in loop.core.events}
        assert heard == {theirs}, "nothing of it reached the core"
        victim.ping(3)
        assert victim.wait_for(Pong).number == 3


def test_of_two_that_set_one_routing_id_neither_hears_the_other(
    tmp_path: Path,
) -> None:
    with Loop(tmp_path) as loop:
        pair = [loop.peer(routing_id=b"twin"), loop.peer(routing_id=b"twin")]
        for twin in pair:
            twin.frames(*encode(Ping(1)))
        assert all(twin.hears_nothing(0.5) for twin in pair)
        assert loop.core.events == []


# --- the gate itself -----------------------------------------------------------


class OpenGate(Gate):
    """Lets anyone in."""

    def answer(self, request: list[bytes]) -> list[bytes]:
        return [b"1.0", request[1], b"200", b"", request[6].hex().encode(), b""]


class NamelessGate(Gate):
    """Lets the right ones in, but says nobody's name."""

    def answer(self, request: list[bytes]) -> list[bytes]:
        answer = super().answer(request)
        return [*answer[:4], b"", b""]


class ShutGate(Gate):
    """Lets nobody in."""

    def answer(self, request: list[bytes]) -> list[bytes]:
        return [b"1.0", request[1], b"400", b"", b"", b""]


class DeadGate(Gate):
    """Does not answer."""

    def serve(self) -> None:
        self.socket.poll(1)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (OpenGate, "a stranger"),
        (NamelessGate, "a stranger was let in"),
        (ShutGate, "a member was not let in"),
        (DeadGate, "a stranger was not refused"),
    ],
)
@pytest.mark.parametrize("plain", [False, True], ids=["curve", "plain"])
def test_a_broker_whose_gate_does_not_hold_does_not_start(
    kind: type[Gate], problem: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipcbus.transport.selftest.BOUND_S", 0.5)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = None if plain else generate()
    try:
        gate = kind(context, "dev")
        front = open_router(context, "dev", server)
        with pytest.raises(CannotServe, match=problem):
            check_gate(context, "dev", gate, front, server)
    finally:
        context.destroy(linger=0)


def test_the_test_of_the_gate_is_quick_and_leaves_nobody_admitted() -> None:
    server = generate()
    began = time.monotonic()
    sockets = Sockets("dev", server)
    took = time.monotonic() - began
    try:
        assert took < 0.5, "some 10 ms, with room for a busy machine"
        assert sockets.gate._keys == set()
    finally:
        sockets.close()


def test_without_an_answer_of_the_gate_nobody_comes_in() -> None:
    """No handler at all: libzmq's default would let anyone in (R17)."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = generate()
    front = open_router(context, "dev", server)
    endpoint = front.bind("127.0.0.1", 0)
    peer = Peer(endpoint, server.public, context=context)
    try:
        peer.ping()
        assert not front.socket.poll(500)
    finally:
        peer.close()
        context.destroy(linger=0)


def test_plain_mode_is_refused_beyond_loopback() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    front = open_router(context, "dev", None)
    try:
        for host in ("0.0.0.0", "10.0.0.1", "::", "example.org"):
            with pytest.raises(UsageError, match="plain"):
                front.bind(host, 0)
    finally:
        context.destroy(linger=0)


def test_a_plain_network_has_a_gate_too(tmp_path: Path) -> None:
    with Loop(tmp_path, plain=True) as loop:
        member, stranger = loop.peer(), loop.peer(admit=False)
        member.hello()
        assert stranger.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
