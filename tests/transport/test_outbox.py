"""Splitting deliveries, and sending to peers that are gone, slow or stalled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker.events import Action, Hand, Received, Say
from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_broker
from ipcbus.protocol.messages import (
    Accepted,
    Closed,
    Deliver,
    Header,
    Ping,
    Pong,
    Send,
)
from ipcbus.protocol.pieces import pack_header
from ipcbus.transport.outbox import PATIENCE_S, Outbox, parcels
from ipcbus.transport.watch import Watch
from tests.transport.loops import Loop, Script
from tests.transport.peers import send
from tests.waiting import until

PEER = b"\0abcd"


def header(size: int = 0) -> bytes:
    meta = b"m" * size or None
    return pack_header(
        Header(
            "i", "a", "b", "inform", 4, 0, None, None, None, "local", None, None, meta
        )
    )


def hand(bodies: list[bytes], head_size: int = 0, peer: bytes = PEER) -> Hand:
    seqs = list(range(1, len(bodies) + 1))
    headers = [header(head_size)] * len(bodies)
    return Hand(peer, seqs, [1] * len(bodies), headers, bodies)


def delivered(given: Hand) -> list[Deliver]:
    messages = []
    for head, body in parcels(given):
        assert len(head) <= limits.MAX_HEAD
        assert len(body) <= limits.MAX_FRAME
        message = decode_broker(head, body)
        assert isinstance(message, Deliver)
        messages.append(message)
    return messages


@given(
    st.lists(st.sampled_from([0, 1, 300, 60_000, limits.MAX_BODY]), max_size=40),
    st.sampled_from([0, 100, limits.MAX_META]),
)
def test_a_hand_is_split_within_every_bound_and_nothing_is_lost(
    sizes: list[int], head_size: int
) -> None:
    bodies = [bytes([at % 256]) * size for at, size in enumerate(sizes)]
    messages = delivered(hand(bodies, head_size))
    assert [body for message in messages for body in message.bodies] == bodies
    seqs = [seq for message in messages for seq in message.seqs]
    assert seqs == list(range(1, len(bodies) + 1))
    for message in messages:
        assert len(message.seqs) == 1 or (
            sum(map(len, message.bodies)) <= limits.BATCH_BYTES
        )


def test_many_small_ones_are_split_by_number() -> None:
    messages = delivered(hand([b""] * (2 * limits.MAX_BATCH + 1)))
    assert [len(m.seqs) for m in messages] == [limits.MAX_BATCH, limits.MAX_BATCH, 1]


def test_one_message_is_one_parcel() -> None:
    assert len(delivered(hand([b"x"]))) == 1


# --- sending -------------------------------------------------------------------


class Ends:
    """A ROUTER, and one DEALER that reads only when told to."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        router = self.context.socket(zmq.ROUTER)
        router.router_mandatory = 1
        router.sndhwm = 4
        port = router.bind_to_random_port("tcp://127.0.0.1")
        self.mono = 0.0
        self.watch = Watch(self.context, router)
        self.outbox = Outbox(router, self.watch, lambda: self.mono)
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.rcvhwm = 4
        self.dealer.connect(f"tcp://127.0.0.1:{port}")
        self.dealer.send(b"")
        self.peer = router.recv()
        router.recv()

    def stall(self) -> int:
        """Send until the peer is slow; how many messages it was sent."""
        for number in range(2000):
            self.outbox.hand(hand([b"%d" % number + b"." * 100_000], peer=self.peer))
            if self.outbox.has_slow:
                return number + 1
        raise AssertionError("it never was")

    def read(self) -> bytes:
        """The next message. What was read makes room at the other side when ZeroMQ's
        thread comes to it, so the outbox may have to try again until it comes."""
        for _ in range(500):
            if self.dealer.poll(10):
                break
            self.outbox.retry()
        else:
            raise AssertionError("nothing came")
        head, body = self.dealer.recv_multipart()
        message = decode_broker(head, body)
        if isinstance(message, Deliver):
            return message.bodies[0].rstrip(b".")
        assert isinstance(message, Pong)
        return b"pong"

    def close(self) -> None:
        self.watch.close()
        self.context.destroy(linger=0)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_a_peer_that_is_not_there_is_lost(ends: Ends) -> None:
    ends.outbox.say(PEER, Pong(1, 1))
    assert list(ends.outbox.lost) == [PEER]


def test_a_slow_peer_gets_everything_in_order(ends: Ends) -> None:
    count = ends.stall()
    ends.outbox.say(ends.peer, Pong(1, 1))
    got: list[bytes] = []
    while len(got) < count + 1:
        got.append(ends.read())
        ends.outbox.retry()
    assert got == [b"%d" % number for number in range(count)] + [b"pong"]
    assert not ends.outbox.has_slow
    assert not ends.outbox.lost


def test_a_stalled_peer_is_given_up_after_a_while(ends: Ends) -> None:
    ends.stall()
    ends.mono = PATIENCE_S
    ends.outbox.retry()
    assert not ends.outbox.lost
    ends.mono = PATIENCE_S + 0.1
    ends.outbox.retry()
    assert list(ends.outbox.lost) == [ends.peer]
    assert not ends.outbox.has_slow


def test_a_peer_that_goes_on_taking_is_never_given_up(ends: Ends) -> None:
    ends.stall()
    ends.outbox.hand(hand([b"." * 100_000] * 150, peer=ends.peer))
    times = 0
    while ends.outbox.has_slow:
        owed = ends.outbox.owed(ends.peer)
        while ends.outbox.owed(ends.peer) == owed:
            ends.read()
            ends.outbox.retry()
        ends.mono += PATIENCE_S
        times += 1
    assert times > 2
    assert not ends.outbox.lost


def test_what_is_kept_for_a_slow_peer_is_bounded(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipcbus.transport.outbox.MOST_BYTES", 1_000_000)
    ends.stall()
    ends.outbox.hand(hand([b"." * 300_000] * 8, peer=ends.peer))
    assert list(ends.outbox.lost) == [ends.peer]
    assert ends.outbox.owed(ends.peer) == 0


def test_a_peer_that_left_is_owed_nothing(ends: Ends) -> None:
    ends.stall()
    ends.outbox.forget(ends.peer)
    assert not ends.outbox.has_slow


def test_closed_is_the_last_word_and_the_connection_ends(tmp_path: Path) -> None:
    def act(event: Received) -> list[Action] | None:
        if isinstance(event.message, Ping):
            return [Say(event.peer, Closed("disconnected", {"reason": "enough"}))]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        peer = loop.peer()
        peer.hello()
        peer.ping()
        assert peer.wait_for(Closed).facts == {"reason": "enough"}
        peer.event(zmq.EVENT_DISCONNECTED, bound=2.0)


def test_others_are_served_while_one_does_not_read(tmp_path: Path) -> None:
    """64 MiB for a reader that reads nothing; the other one must not notice."""

    def act(event: Received) -> list[Action] | None:
        if isinstance(event.message, Send) and event.message.ref == 1:
            return [hand([b"x" * limits.MAX_BODY] * 64, peer=event.peer)]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        stalled, other = loop.peer(rcvhwm=1), loop.peer()
        stalled.hello()
        other.hello()
        stalled.say(send(1, "bob", b""))
        until(lambda: loop.sockets.outbox.has_slow, "the reader is behind")
        for ref in range(2, 202):
            other.say(send(ref, "bob", b""))
            assert isinstance(other.hear(1.0), Accepted)
        assert loop.sockets.outbox.has_slow
