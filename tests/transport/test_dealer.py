"""One connection of a client, at the level of frames."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from ipcbus.errors import Disconnected, IpcbusError, NoBroker, NotPermitted
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.codec import decode_broker, encode
from ipcbus.protocol.messages import Hello, Welcome
from ipcbus.transport import keys
from ipcbus.transport.dealer import Dealer, Target, context
from ipcbus.transport.keys import KeyPair
from tests.waiting import until

Open = Callable[[Target, KeyPair], Dealer]


@pytest.fixture
def wake_fds() -> Iterator[tuple[int, int]]:
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield read, write
    os.close(read)
    os.close(write)


@pytest.fixture
def open_dealer(wake_fds: tuple[int, int]) -> Iterator[Open]:
    made: list[Dealer] = []

    def make(target: Target, pair: KeyPair) -> Dealer:
        made.append(Dealer(target, pair, wake_fds[0]))
        return made[-1]

    yield make
    for dealer in made:
        dealer.close()


@pytest.fixture
def server() -> Iterator[tuple[zmq.Socket[bytes], Target]]:
    """A CURVE peer in the hands of the test, that lets everybody in."""
    pair = keys.generate()
    mine: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = mine.socket(zmq.ROUTER)
    router.linger = 0
    router.rcvtimeo = 10_000
    router.set(zmq.CURVE_SERVER, 1)
    router.set(zmq.CURVE_SECRETKEY, keys.z85(pair.secret))
    port = router.bind_to_random_port("tcp://127.0.0.1")
    yield router, Target("dev", f"tcp://127.0.0.1:{port}", pair.public)
    mine.destroy(linger=0)


def until_ready(dealer: Dealer) -> None:
    deadline = time.monotonic() + 10
    while not dealer.ready:
        assert time.monotonic() < deadline
        dealer.wait(0.1)
        dealer.watch()


def until_over(dealer: Dealer) -> IpcbusError:
    """Why the connection is over."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        dealer.wait(0.1)
        try:
            dealer.watch()
        except IpcbusError as error:
            return error
    raise AssertionError("the connection was not over in time")


def receive(dealer: Dealer) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + 10
    while (frames := dealer.receive()) is None:
        assert time.monotonic() < deadline
        dealer.wait(0.1)
    return frames


def test_hello_is_answered(
    network: Network, broker: BrokerInfo, open_dealer: Open
) -> None:
    target = Target("dev", broker.endpoint, broker.server_key)
    dealer = open_dealer(target, keys.load(network.operator_key))
    until_ready(dealer)
    dealer.send(encode(Hello(1, 0, 0, "test")))
    welcome = decode_broker(*receive(dealer))
    assert isinstance(welcome, Welcome)
    assert (welcome.network, welcome.role) == ("dev", "operator")


def test_messages_that_are_no_pair_of_frames_are_marked(
    server: tuple[zmq.Socket[bytes], Target], open_dealer: Open
) -> None:
    router, target = server
    dealer = open_dealer(target, keys.generate())
    until_ready(dealer)
    dealer.send((b"head", b"body"))
    peer, *frames = router.recv_multipart()
    assert frames == [b"head", b"body"]
    for sent in ([b"1"], [b"1", b"2"], [b"1", b"2", b"3"], [b"1", b"2", b"3", b"4"]):
        router.send_multipart([peer, *sent])
    got = [receive(dealer) for _ in range(4)]
    assert got == [(b"", b""), (b"1", b"2"), (b"", b""), (b"", b"")]


def test_a_reader_that_stalls_loses_nothing(
    server: tuple[zmq.Socket[bytes], Target], open_dealer: Open
) -> None:
    """No bound of ZeroMQ is hit however late it is read (R5)."""
    router, target = server
    dealer = open_dealer(target, keys.generate())
    until_ready(dealer)
    dealer.send((b"head", b""))
    peer = router.recv_multipart()[0]
    router.set(zmq.SNDHWM, 0)
    for number in range(5000):
        router.send_multipart([peer, b"%d" % number, b"x" * 100])
    assert [receive(dealer)[0] for _ in range(5000)] == [b"%d" % n for n in range(5000)]


def test_nobody_listens(open_dealer: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    target = Target("dev", f"tcp://127.0.0.1:{port}", keys.generate().public)
    error = until_over(open_dealer(target, keys.generate()))
    assert isinstance(error, NoBroker)
    assert "nobody listens" in str(error)


def test_what_listens_is_not_a_broker(open_dealer: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        target = Target("dev", f"tcp://127.0.0.1:{port}", keys.generate().public)
        dealer = open_dealer(target, keys.generate())
        peer, _ = other.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            assert isinstance(until_over(dealer), NoBroker)


@pytest.mark.security
def test_a_broker_with_another_key_gets_no_connection(
    server: tuple[zmq.Socket[bytes], Target], open_dealer: Open
) -> None:
    target = server[1]._replace(server_key=keys.generate().public)
    assert isinstance(until_over(open_dealer(target, keys.generate())), NoBroker)


@pytest.mark.security
def test_a_key_that_the_broker_does_not_know_is_told_so(
    broker: BrokerInfo, open_dealer: Open
) -> None:
    target = Target("dev", broker.endpoint, broker.server_key)
    error = until_over(open_dealer(target, keys.generate()))
    assert isinstance(error, NotPermitted)


@pytest.mark.chaos
def test_a_broker_that_dies_is_noticed_at_once(
    network: Network, broker: BrokerInfo, open_dealer: Open
) -> None:
    target = Target("dev", broker.endpoint, broker.server_key)
    dealer = open_dealer(target, keys.load(network.operator_key))
    until_ready(dealer)
    os.kill(broker.pid, signal.SIGKILL)
    begun = time.monotonic()
    assert isinstance(until_over(dealer), Disconnected)
    assert time.monotonic() - begun < 2
    until(lambda: not broker.is_alive(), "it is dead")


def test_an_endpoint_that_is_none_is_told_apart(open_dealer: Open) -> None:
    with pytest.raises(NoBroker, match="cannot be used"):
        open_dealer(Target("dev", "nonsense", keys.generate().public), keys.generate())


def test_the_wake_up_fd_ends_a_wait(
    server: tuple[zmq.Socket[bytes], Target],
    open_dealer: Open,
    wake_fds: tuple[int, int],
) -> None:
    dealer = open_dealer(server[1], keys.generate())
    until_ready(dealer)
    os.write(wake_fds[1], b"\0")
    begun = time.monotonic()
    dealer.wait(30)
    assert time.monotonic() - begun < 5


def test_what_came_before_the_end_of_a_connection_is_read_to_its_last_frame(
    server: tuple[zmq.Socket[bytes], Target], open_dealer: Open
) -> None:
    """As a client does that was frozen and finds its session closed."""
    router, target = server
    dealer = open_dealer(target, keys.generate())
    until_ready(dealer)
    dealer.send((b"head", b"body"))
    peer = router.recv_multipart()[0]
    router.linger = 5_000
    for _ in range(200):
        router.send_multipart([peer, b"head", b"body"])
    dealer.wait(10)
    assert dealer.receive() == (b"head", b"body")
    router.close()
    with pytest.raises(Disconnected):
        _watch_to_the_end(dealer)
    read = 1
    while dealer.receive() is not None:
        read += 1
    assert read == 200


def _watch_to_the_end(dealer: Dealer) -> None:
    """And do nothing else that would let libzmq look at the socket itself."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        dealer.watch()


def test_nothing_can_be_said_before_there_is_a_connection(open_dealer: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = Target("dev", f"tcp://127.0.0.1:{port}", keys.generate().public)
        with pytest.raises(Disconnected):
            open_dealer(target, keys.generate()).send((b"head", b"body"))


def test_a_forked_child_has_a_context_of_its_own() -> None:
    before = context()
    assert context() is before
    child = os.fork()
    if child == 0:
        os._exit(context() is before)
    assert os.waitpid(child, 0)[1] == 0


def test_a_repr_shows_no_secret() -> None:
    pair = keys.generate()
    assert pair.secret not in repr(pair)


@pytest.mark.parametrize("left", [0, 1])
def test_without_descriptors_there_is_no_broker_and_nothing_stays_open(
    open_dealer: Open, server: tuple[zmq.Socket[bytes], Target], left: int
) -> None:
    with context().socket(zmq.PAIR) as first:  # what the process has once is there
        its = int(first.get(zmq.FD))
    until(lambda: its not in descriptors(), "libzmq is done with all that was closed")
    before = descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before) + 2, limits[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(left):
            os.close(taken.pop())
        with pytest.raises(NoBroker, match="no socket could be opened"):
            open_dealer(server[1], keys.generate())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in taken:
            os.close(fd)
    until(lambda: descriptors() <= before, "all is closed again")
    assert open_dealer(server[1], keys.generate())


def descriptors() -> set[int]:
    """Without the one that the look itself took: it is closed by the second look."""
    entries = list(Path("/proc/self/fd").iterdir())
    return {int(entry.name) for entry in entries if entry.is_symlink()}
