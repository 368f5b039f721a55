"""Connections: noticed when they end, cut when they must, never the wrong one."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from ipcbus.broker.events import PeerLost, Received
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Ping, Pong
from ipcbus.transport.watch import GRACE_S, TICK_S, Watch
from tests.transport.loops import Loop
from tests.transport.peers import greeted
from tests.waiting import until


class Door:
    """A ROUTER in plain sight, with its watch, and the test as the loop."""

    def __init__(self, *, most: int = 1000, unread: int = limits.UNREAD_BYTES) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.router_mandatory = 1
        self.router.setsockopt(zmq.HANDSHAKE_IVL, 0)
        self.watch = Watch(self.context, self.router, most=most, unread=unread)
        self.port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.mono = 0.0
        self._dealers: list[zmq.Socket[bytes]] = []

    def dealer(self) -> zmq.Socket[bytes]:
        dealer = self.context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.reconnect_ivl = -1
        dealer.connect(f"tcp://127.0.0.1:{self.port}")
        self._dealers.append(dealer)
        return dealer

    def heard(self, dealer: zmq.Socket[bytes], key: str = "k") -> bytes:
        """Let it speak, take it in as the inbox does; its routing id."""
        dealer.send(b"")
        assert self.router.poll(5000)
        peer = self.router.recv()
        frame = self.router.recv(copy=False)
        known = self.watch.known.get(peer)
        connection = known or self.watch.meet(peer, key, int(frame.get(zmq.SRCFD)))
        connection.messages += 1
        return peer

    def tick(self) -> None:
        self.mono += TICK_S
        self.watch.tick(self.mono)

    def wait(self) -> None:
        """Let the moment pass that the doomed are given."""
        self.mono += GRACE_S
        self.tick()

    def lives(self, dealer: zmq.Socket[bytes], peer: bytes) -> bool:
        try:
            self.router.send_multipart([peer, b"there?"], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return bool(dealer.poll(300))

    def takes(self, count: int) -> Callable[[], bool]:
        def look() -> bool:
            self.watch.read()
            return len(self.watch) == count

        return look

    def close(self) -> None:
        for dealer in self._dealers:
            dealer.close(linger=0)
        self.watch.close()
        self.context.destroy(linger=0)


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def test_a_peer_whose_connection_ended_is_reported(door: Door) -> None:
    dealer = door.dealer()
    peer = door.heard(dealer)
    dealer.close()
    assert door.watch.socket.poll(5000)
    door.watch.read()
    assert door.watch.take_gone() == [peer]
    assert door.watch.known == {}
    assert len(door.watch) == 0


def test_the_doomed_are_cut_in_a_moment_and_no_others(door: Door) -> None:
    dealers = [door.dealer() for _ in range(5)]
    peers = [door.heard(dealer) for dealer in dealers]
    door.watch.doom_peer(peers[2], "a reason")
    assert door.lives(dealers[2], peers[2]), "what was said can still leave"
    door.tick()
    assert door.lives(dealers[2], peers[2]), "and has a moment for it"
    door.wait()
    until(door.takes(4), "one is gone")
    assert door.watch.gone == [peers[2]]
    for at in (0, 1, 3, 4):
        assert door.lives(dealers[at], peers[at])


def test_all_connections_of_a_key_are_cut(door: Door) -> None:
    dealers = [door.dealer() for _ in range(4)]
    peers = [door.heard(dealer, key=f"k{at % 2}") for at, dealer in enumerate(dealers)]
    door.watch.doom_key("k1", "revoked")
    assert set(door.watch.known) == {peers[0], peers[2]}
    door.wait()
    until(door.takes(2), "two are gone")
    assert door.lives(dealers[0], peers[0])


def test_who_is_rejected_is_cut_unless_its_descriptor_is_anothers(door: Door) -> None:
    """What somebody said before it left may be read when another has its place."""
    dealers = [door.dealer() for _ in range(3)]
    heard = door.heard(dealers[0])
    until(door.takes(3), "all are there")
    descriptors = list(door.watch._by_fd)
    first = next(c.fd for c in door.watch.known.values())
    for fd in descriptors:
        door.watch.reject(fd, "a reason")
    soon = door.heard(dealers[1])
    door.wait()
    until(door.takes(2), "the one that is not known is gone")
    assert first in door.watch._by_fd
    assert door.lives(dealers[0], heard)
    assert door.lives(dealers[1], soon)


def test_a_descriptor_that_is_used_again_is_not_cut_for_its_former_owner(
    door: Door,
) -> None:
    """The doomed one leaves by itself, and another one gets its descriptor."""
    first = door.dealer()
    peer = door.heard(first)
    fd = door.watch.known[peer].fd
    door.watch.doom_peer(peer, "a reason")
    first.close()
    until(door.takes(0), "it has left")
    second = door.dealer()
    other = door.heard(second)
    assert door.watch.known[other].fd == fd, "this test needs the same descriptor"
    door.wait()
    assert door.lives(second, other)


def test_a_peer_that_left_before_it_was_heard_is_gone_but_heard(door: Door) -> None:
    dealer = door.dealer()
    dealer.send(b"last words")
    assert door.router.poll(5000)
    dealer.close(linger=1000)
    until(door.takes(0), "it has left")
    peer = door.router.recv()
    frame = door.router.recv(copy=False)
    connection = door.watch.meet(peer, "k", int(frame.get(zmq.SRCFD)))
    assert (connection.peer, connection.key) == (peer, "k")
    assert door.watch.known == {peer: connection}, "there may be more of it"
    assert door.watch.take_gone() == [peer]
    assert door.watch.known == {}


def test_of_two_peers_on_one_descriptor_the_younger_one_lives(door: Door) -> None:
    dealer = door.dealer()
    peer = door.heard(dealer)
    fd = door.watch.known[peer].fd
    number = int.from_bytes(peer[1:])
    older = b"\0" + ((number - 1) % 2**32).to_bytes(4)
    younger = b"\0" + ((number + 1) % 2**32).to_bytes(4)
    door.watch.meet(older, "k", fd)
    assert door.watch.gone == [older]
    door.watch.meet(younger, "k", fd)
    assert door.watch.take_gone() == [older, peer]
    assert list(door.watch.known) == [younger]


def test_connections_beyond_the_most_are_cut() -> None:
    door = Door(most=3)
    try:
        dealers = [door.dealer() for _ in range(3)]
        peers = [door.heard(dealer) for dealer in dealers]
        with socket.create_connection(("127.0.0.1", door.port)) as late:
            late.settimeout(5)
            until(door.takes(4), "it is accepted")
            door.wait()
            while late.recv(100):
                pass
        assert all(map(door.lives, dealers, peers))
    finally:
        door.close()


def test_cutting_needs_no_free_descriptor(door: Door) -> None:
    dealer = door.dealer()
    peer = door.heard(dealer)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd.name) for fd in Path("/proc/self/fd").iterdir())
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, before[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        door.watch.doom_peer(peer, "a reason")
        door.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in taken:
            os.close(fd)
    until(door.takes(0), "it is cut")


@pytest.mark.security
def test_a_message_without_an_end_is_cut(door: Door) -> None:
    door.watch._unread = 100_000
    good = door.dealer()
    peer = door.heard(good)
    with greeted(door.port) as bad:
        until(door.takes(2), "both are connected")
        door.tick()
        bad.settimeout(0.2)
        with contextlib.suppress(OSError):
            for _ in range(100):
                bad.sendall(b"\1\1x" * 1000)  # a part of one byte, and more to come

        def is_cut() -> bool:
            door.tick()
            return door.takes(1)()

        until(is_cut, "the endless one is cut")
    assert door.lives(good, peer)


@pytest.mark.security
def test_who_never_says_a_word_is_cut_and_who_spoke_once_is_not(door: Door) -> None:
    door.dealer()
    quiet = door.dealer()
    peer = door.heard(quiet)
    until(door.takes(2), "both are connected")
    door.tick()
    door.mono += limits.HELLO_S - TICK_S
    door.tick()
    assert door.takes(2)(), "it has so long"
    door.tick()
    until(door.takes(1), "the one that never spoke is cut")
    assert door.lives(quiet, peer), "to notice its silence is the core's business"


def test_much_that_is_read_is_never_cut(door: Door) -> None:
    door.watch._unread = 100_000
    dealer = door.dealer()
    peer = door.heard(dealer)
    for _ in range(40):
        dealer.send(b"." * 50_000)
        assert door.router.poll(5000)
        door.router.recv_multipart()
        door.watch.known[peer].messages += 1
        door.watch.known[peer].bytes += 50_000
        door.tick()
    assert door.lives(dealer, peer)


def test_looking_at_thousands_takes_turns(door: Door) -> None:
    """5,000 connections: each tick looks at a bounded number of them."""
    fds = range(10_000_000, 10_005_000)  # none of them is open: a look finds nothing
    for fd in fds:
        door.watch._accepted(fd)
    began = time.monotonic()
    for _ in range(25):
        door.tick()
    assert time.monotonic() - began < 1.0
    assert not door.watch.gone


@pytest.mark.chaos
def test_a_killed_agents_loss_is_reported_within_milliseconds(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        peer = loop.peer()
        peer.hello()
        began = time.monotonic()
        peer.vanish()
        until(lambda: bool(loop.core.lost()), "the loss is reported")
        assert time.monotonic() - began < 0.5


@pytest.mark.chaos
def test_what_a_dying_peer_has_said_comes_before_its_loss(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        for _ in range(20):
            peer = loop.peer()
            peer.hello()
            for number in range(50):
                peer.ping(number)
            peer.vanish(1000)
        until(lambda: len(set(loop.core.lost())) == 20, "all are lost")
        lost: set[bytes] = set()
        pings = 0
        for event in loop.core.events:
            if isinstance(event, PeerLost):
                lost.add(event.peer)
            else:
                assert event.peer not in lost, "it spoke after it was lost"
                pings += isinstance(event, Received) and isinstance(event.message, Ping)
        assert pings == 20 * 50


@pytest.mark.chaos
def test_connections_that_come_and_go_harm_nobody(tmp_path: Path) -> None:
    """Descriptors are used again all the time; one agent stays and is served."""
    with Loop(tmp_path) as loop:
        stays = loop.peer()
        stays.hello()
        stop = threading.Event()

        def come_and_go() -> None:
            while not stop.is_set():
                address = ("127.0.0.1", int(loop.endpoint.rpartition(":")[2]))
                with socket.create_connection(address) as visitor:
                    visitor.send(b"\xff")

        visitors = threading.Thread(target=come_and_go)
        visitors.start()
        try:
            for number in range(300):
                stays.ping(number)
                assert stays.wait_for(Pong).number == number
                guest = loop.peer()
                if number % 10 == 0:
                    guest.hello()
                guest.close()
                loop.forget(guest)
        finally:
            stop.set()
            visitors.join()
        until(lambda: len(loop.sockets.watch) == 1, "only one is left")
        until(lambda: len(loop.sockets.watch.known) == 1, "of those that spoke, too")
