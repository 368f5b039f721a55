"""Hostile peers against a real broker process: it goes on serving the others, in the
memory it had."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from msgpack import packb

from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.limits import MIB
from ipcbus.protocol.messages import (
    ClientMessage,
    Closed,
    Credit,
    Hello,
    Ping,
    Pong,
)
from tests.transport.members import Members
from tests.transport.peers import BOUND_S, Peer, send
from tests.waiting import until

pytestmark = pytest.mark.security


def resident(people: Members) -> int:
    """Bytes of memory that the broker uses."""
    status = Path(f"/proc/{people.broker.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def serves(people: Members, bound: float = BOUND_S) -> None:
    """The broker answers the operator, who is connected already."""
    number = random.getrandbits(30)
    people.operator.ping(number)
    deadline = time.monotonic() + bound
    while people.operator.wait_for(Pong, bound).number != number:
        assert time.monotonic() < deadline


def lets_in(people: Members) -> float:
    """A new client gets in; after how many seconds."""
    began = time.monotonic()
    peer = people.peer(people.operator.keys)
    peer.hello()
    took = time.monotonic() - began
    peer.close()
    return took


@contextlib.contextmanager
def raw(people: Members) -> Iterator[socket.socket]:
    port = int(people.broker.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as made:
        yield made


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


# --- before authentication -----------------------------------------------------

GREETING_3 = b"\xff" + bytes(8) + b"\x7f\x03\x00"
NOISE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "ff": b"\xff" * 4096,
    "nul": bytes(4096),
    "zmtp1": b"\x01\x00" + b"\x06\x00hello",
    "zmtp1-with-id": b"\x05\x00evil" + b"\x02\x00x",
    "zmtp2": b"\xff" + bytes(7) + b"\x01\x7f\x01\x05\x00\x00",
    "null-mechanism": GREETING_3 + b"NULL".ljust(20, b"\0") + bytes(32),
    "no-such-mechanism": GREETING_3 + b"EVIL".ljust(20, b"\0") + bytes(32),
    "half-a-greeting": GREETING_3[:7],
    "curve-without-hello": GREETING_3
    + b"CURVE".ljust(20, b"\0")
    + bytes(32)
    + b"\x04\xff"
    + bytes(255),
    "huge-frame": GREETING_3
    + b"CURVE".ljust(20, b"\0")
    + bytes(32)
    + b"\x06"
    + b"\xff" * 8,
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_what_speaks_no_curve_is_closed_soon_and_hears_nothing_of_us(
    people: Members, noise: bytes
) -> None:
    with raw(people) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(noise)
        assert is_closed_within(connection, limits.HANDSHAKE_MS / 1000 + 1.0)
    serves(people)


def test_silence_is_closed_after_the_time_for_the_handshake(people: Members) -> None:
    with raw(people) as connection:
        began = time.monotonic()
        assert is_closed_within(connection, 5.0)
        assert time.monotonic() - began > 1.0
    serves(people)


def test_a_crowd_of_idle_connections_keeps_nobody_out(people: Members) -> None:
    before = resident(people)
    with contextlib.ExitStack() as crowd:
        for _ in range(800):
            crowd.enter_context(raw(people))
        assert lets_in(people) < 1.0
        serves(people, 1.0)
    assert resident(people) - before < 32 * MIB
    descriptors = Path(f"/proc/{people.broker.pid}/fd")
    until(lambda: len(list(descriptors.iterdir())) < 100, "they are let go")


def test_handshakes_that_fail_leave_nothing_behind(people: Members) -> None:
    serves(people)
    before = resident(people)
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for number in range(500):
        if number % 50 == 0:
            serves(people)  # also lest the operator be given up for silence
        with raw(people) as connection, contextlib.suppress(OSError):
            connection.sendall(dice.choice(list(NOISE.values())))
            connection.sendall(dice.randbytes(dice.randrange(300)))
    serves(people)
    assert resident(people) - before < 16 * MIB, f"seed {seed}"


# --- with a key that may come in -----------------------------------------------


def parts(people: Members, peer: Peer, count: int, part: bytes) -> None:
    """One message of many parts, given to libzmq in one go. It takes seconds to make,
    in which the operator would be given up if it said nothing."""
    with contextlib.suppress(zmq.ZMQError):
        for number in range(count):
            if number % 50_000 == 0:
                serves(people)
            peer.socket.send(part, zmq.SNDMORE)
        peer.socket.send(b"the end")


@pytest.mark.parametrize(
    ("count", "size"),
    [
        pytest.param(200, MIB, id="large-parts"),
        pytest.param(1_500_000, 1, id="tiny-parts", marks=pytest.mark.slow),
    ],
)
def test_an_endless_message_is_cut_in_bounded_memory(
    people: Members, count: int, size: int, show: Callable[[str], None]
) -> None:
    """Each part is small enough for ZeroMQ, and it does not count them. Twice: what
    the allocator keeps of the first one serves the second. Without a HELLO, because a
    session that is silent for as long as it takes to make the parts is given up."""
    pair = people.register("mallory")
    before = resident(people)
    peaks, longest, slowest = [], 0.0, 0.0
    for _ in range(2):
        mallory = people.peer(pair)
        cuts = people.log().count(b"no end of the message")
        parts(people, mallory, count, b"x" * size)
        peaks.append(before)
        began = asked = time.monotonic()
        while people.log().count(b"no end of the message") == cuts:
            assert asked < began + 20, "it was not cut"
            peaks[-1] = max(peaks[-1], resident(people))
            serves(people, 1.0)
            slowest = max(slowest, time.monotonic() - asked)
            asked = time.monotonic()
        longest = max(longest, time.monotonic() - began)
        mallory.close()
    show(
        f"parts of {size} bytes: cut after {longest:.2f} s, the broker +"
        f"{(max(peaks) - before) / MIB:.0f} MiB, others answered in {slowest:.2f} s"
    )
    assert max(peaks) - before < 256 * MIB
    assert peaks[1] - peaks[0] < 96 * MIB
    serves(people)


def bombs() -> dict[str, bytes]:
    deep = b"\x91" * 100_000 + b"\xc0"
    return {
        "deep": deep[: limits.MAX_HEAD],
        "wide": b"\xdc\xff\xff" + b"\x90" * 65_535,
        "array32": b"\xdd\xff\xff\xff\xff",
        "map32": b"\xdf\xff\xff\xff\xff",
        "bin32": b"\xc6\xff\xff\xff\xff",
        "nested-wide": packb([4, 1, [[[]] * 8000] * 8, []])[: limits.MAX_HEAD],
        "ext": b"\xc7\x01\x05x",
        "timestamp": b"\xd6\xff\x00\x00\x00\x00",
        "twice-a-key": b"\x82\xa1a\x01\xa1a\x02",
        "nan": packb([4, float("nan")]),
        "past-64-bit": b"\x92\x03\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        "not-utf8": b"\x92\x03\xa2\xff\xfe",
        "cut-short": packb([1, 1, 0, 0, "x"])[:-1],
        "more-behind": packb([3, 1]) + b"\x00",
    }


def test_bombs_are_refused_with_a_reason_and_cost_no_memory(people: Members) -> None:
    pair = people.register("mallory")
    before = resident(people)
    for name, bomb in bombs().items():
        for _ in range(5):
            mallory = people.peer(pair)
            mallory.frames(bomb, b"")
            closed = mallory.wait_for(Closed)
            assert closed.code == "remote_protocol", name
            mallory.close()
        serves(people)
    assert resident(people) - before < 48 * MIB


def soup(dice: random.Random) -> list[bytes]:
    """Frames as a broken or hostile client may send: random, or nearly right."""
    sayings: list[ClientMessage] = [
        Ping(1),
        send(1, "mallory", b"x"),
        Credit(1, 1, 1, 1000),
    ]
    head, body = encode(dice.choice(sayings))
    changed = bytearray(head)
    for _ in range(dice.randrange(4)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return dice.choice(
        [
            [dice.randbytes(dice.randrange(64))],
            [dice.randbytes(dice.randrange(64)), b""],
            [bytes(changed), body],
            [bytes(changed), dice.randbytes(dice.randrange(9))],
            [head, body, b""],
            [head],
            [bytes([dice.choice([0x90, 0x91, 0xDC, 0xDD])]) + head, body],
        ]
    )


def pour(people: Members, count: int) -> None:
    """`count` such messages over many connections; the memory must not grow."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    pair = people.register("mallory")
    before = 0
    for at in range(0, count, 100):
        mallory = people.peer(pair)
        if dice.random() < 0.5:
            mallory.say(Hello(limits.MAJOR, limits.MINOR, 0, "mallory"))
        for _ in range(100):
            mallory.frames(*soup(dice))
        mallory.ping(9)
        assert mallory.listen(BOUND_S), f"no answer, seed {seed}"
        mallory.close()
        serves(people)
        if at == min(count // 2, 2000):
            before = resident(people)
    serves(people)
    assert lets_in(people) < 2.0
    assert resident(people) - before < 24 * MIB, f"memory, seed {seed}"


def test_thousands_of_random_frames_leave_it_serving(people: Members) -> None:
    pour(people, 3_000)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_random_frames_leave_it_serving(people: Members) -> None:
    pour(people, 100_000)


def test_one_that_asks_and_never_reads_costs_a_bounded_amount(
    people: Members,
) -> None:
    """Its answers are kept for a while, then it is given up."""
    mallory = people.peer(people.register("mallory"), rcvhwm=1)
    mallory.hello()
    before = resident(people)
    frames = encode(Ping(1))
    with contextlib.suppress(zmq.Again):
        for _ in range(150_000):
            mallory.socket.send(frames[0], zmq.SNDMORE | zmq.NOBLOCK)
            mallory.socket.send(frames[1], zmq.NOBLOCK)
    serves(people, 2.0)
    assert resident(people) - before < 96 * MIB
    lets_in(people)
