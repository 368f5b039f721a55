"""What libzmq lets no client say in its handshake: another's name, another's key,
another way to prove it. And a gate in trouble, which lets in nobody meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from ipcbus.errors import CannotServe
from ipcbus.networks import Network
from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_broker, encode
from ipcbus.protocol.messages import Accepted, Hello, Pong, Welcome
from ipcbus.transport.keys import KeyPair, generate
from ipcbus.transport.router import open_router
from ipcbus.transport.selftest import check_gate
from ipcbus.transport.zap import Gate
from tests.faults.crew import status
from tests.faults.test_frozen import frozen
from tests.transport import zmtp
from tests.transport.loops import Loop
from tests.transport.members import Members, take
from tests.transport.peers import send
from tests.transport.zmtp_walk import served

pytestmark = pytest.mark.security

SALUTE = encode(Hello(limits.MAJOR, limits.MINOR, 0, "test"))
KIND = (b"Socket-Type", b"DEALER")


def port_of(people: Members) -> int:
    return int(people.broker.endpoint.rpartition(":")[2])


@contextlib.contextmanager
def curve(
    people: Members, pair: KeyPair, *properties: tuple[bytes, bytes]
) -> Iterator[zmtp.Curve]:
    with contextlib.closing(zmtp.Curve(port_of(people))) as line:
        line.enter(pair, people.broker.server_key, [KIND, *properties])
        yield line


def welcome(line: zmtp.Curve | zmtp.Plain) -> Welcome:
    line.say(zmtp.message(line, SALUTE))
    frames = [line.frame() for _ in range(2)]
    if isinstance(line, zmtp.Curve):
        frames = [line.unwrap(payload) for _, payload in frames]
    head, body = (payload for _, payload in frames)
    message = decode_broker(head, body)
    assert isinstance(message, Welcome)
    return message


# --- another's name -----------------------------------------------------------------

NAMES: list[Callable[[str], tuple[bytes, bytes]]] = [
    lambda key: (b"User-Id", key.encode()),
    lambda key: (b"user-id", key.encode()),
    lambda key: (b"X-User-Id", key.encode()),
    lambda key: (b"Identity", key.encode()),
    lambda key: (b"Identity", b"operator"),
]


@pytest.mark.parametrize("forge", NAMES)
def test_whoever_it_says_it_is_in_its_handshake_it_is_who_has_the_key(
    people: Members, forge: Callable[[str], tuple[bytes, bytes]]
) -> None:
    pair = people.register("mallory")
    name, value = forge(people.operator.keys.public)
    with curve(people, pair, (name, value)) as line:
        if name == b"Identity":  # a routing id: it is cut for having set one
            line.say(zmtp.message(line, SALUTE))
            with pytest.raises(zmtp.Closed) as end:
                line.frame()
            assert end.type is zmtp.Closed, "it is cut, not ignored"
        else:
            assert welcome(line).agent == "mallory"


def test_a_name_in_the_handshake_means_nothing_in_a_plain_network_either(
    network: Network,
) -> None:
    with served(network, "plain") as people:
        pair = people.register("mallory")
        forged = (b"User-Id", people.operator.keys.public.encode())
        with contextlib.closing(zmtp.Plain(port_of(people))) as line:
            line.enter(pair.public, [KIND, forged])
            assert welcome(line).agent == "mallory"


# --- another's key ------------------------------------------------------------------


def test_a_key_is_nobodys_who_has_not_its_secret(
    network: Network, people: Members
) -> None:
    """The handshake is done by hand, so that nothing checks the pair beforehand."""
    mallory, bob = people.register("mallory"), people.agent("bob")
    for public in (people.operator.keys.public, bob.keys.public):
        forged = curve(people, KeyPair(public, mallory.secret))
        with pytest.raises(zmtp.Closed), forged:
            pytest.fail("it came in")
    bob.say(send(1, "bob", b"mark"))
    assert take(bob).bodies == [b"mark"]
    assert status(network)["counters"]["accepted"] == 1


@pytest.mark.parametrize("kind", ["NULL", "PLAIN", "ZMTP 1", "ZMTP 2"])
def test_who_proves_nothing_is_not_heard_whatever_name_it_gives(
    network: Network, people: Members, kind: str
) -> None:
    """A message of its own follows at once, without waiting to be let in."""
    bob = people.agent("bob")
    known = bob.keys.public.encode()
    said = b"".join(
        zmtp.frame(part, flags)
        for part, flags in zip(
            [*SALUTE, *encode(send(1, "bob", b"forged"))], [1, 0, 1, 0], strict=True
        )
    )
    introduction = {
        "NULL": zmtp.greeting(b"NULL")
        + zmtp.command(b"READY", zmtp.metadata([KIND, (b"Identity", known)])),
        "PLAIN": zmtp.greeting(b"PLAIN")
        + zmtp.command(b"HELLO", bytes([len(known)]) + known + b"\0")
        + zmtp.command(b"INITIATE", zmtp.metadata([KIND])),
        "ZMTP 1": bytes([len(known) + 1, 0]) + known,
        "ZMTP 2": zmtp.SIGNATURE + b"\1\5" + zmtp.frame(known),
    }[kind]
    with contextlib.closing(zmtp.Line(port_of(people))) as line:
        with contextlib.suppress(zmtp.Closed):
            line.say(introduction, said)
        with pytest.raises(zmtp.Closed) as end:
            line.take(4096)
    assert end.type is zmtp.Closed, "it is cut, not ignored"
    bob.say(send(2, "bob", b"mark"))
    bob.wait_for(Accepted)
    assert take(bob).bodies == [b"mark"]
    assert status(network)["counters"]["accepted"] == 1


# --- a gate in trouble --------------------------------------------------------------


class ThrowingGate(Gate):
    """It fails at each question."""

    def _judge(self, key: str, request: list[bytes]) -> tuple[bytes, bytes]:
        raise RuntimeError("trouble")


def test_a_gate_that_only_throws_is_found_before_the_broker_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ipcbus.transport.selftest.BOUND_S", 0.5)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = generate()
    try:
        gate = ThrowingGate(context, "dev")
        front = open_router(context, "dev", server)
        with pytest.raises(CannotServe, match="a stranger was not refused"):
            check_gate(context, "dev", gate, front, server)
    finally:
        context.destroy(linger=0)


def test_a_gate_that_begins_to_throw_lets_in_nobody_and_disturbs_nobody_inside(
    tmp_path: Path,
) -> None:
    with Loop(tmp_path) as loop:
        inside = loop.peer()
        inside.hello()
        gate = loop.sockets.gate
        sound, gate._judge = gate._judge, ThrowingGate._judge.__get__(gate)  # type: ignore[method-assign]
        member, stranger = loop.peer(), loop.peer(admit=False)
        for peer in (member, stranger):
            peer.try_to_ping(1)
            assert peer.hears_nothing(0.5)
        inside.ping(7)
        assert inside.wait_for(Pong).number == 7
        gate._judge = sound  # type: ignore[method-assign]
        late = loop.peer()
        late.hello()


def test_while_nobody_answers_at_the_gate_nobody_comes_in(people: Members) -> None:
    """A broker that is frozen: libzmq takes connections, and lets none of them in."""
    pair = people.register("bob")
    with frozen(people.broker.pid):
        member, stranger = people.peer(pair), people.peer()
        for peer in (member, stranger):
            peer.try_to_ping(1)
            assert peer.hears_nothing(0.5)
    assert people.peer(pair).hello().agent == "bob"
    late = people.peer()
    late.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
