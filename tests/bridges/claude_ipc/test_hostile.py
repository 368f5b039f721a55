"""What is no old program: it gets an error or is closed, and harms nobody."""

from __future__ import annotations

import json
import random
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ipcbus_bridges.claude_ipc.limits import DEFAULTS
from tests.bridges.claude_ipc.conftest import NewDoor
from tests.bridges.claude_ipc.old import (
    OLD_BUFFER,
    PATIENCE_S,
    Door,
    Old,
    answer_of,
    connected,
)
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
IDLE = 10_000
SERVED_S = 0.1
TRIES = 5
LONG = ("--limit", "request_time=60s")
"""So that silent ones stay, however long it takes to make all of them."""


def rest(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    sock.settimeout(PATIENCE_S)
    found = b""
    try:
        while piece := sock.recv(OLD_BUFFER):
            found += piece
    except ConnectionResetError:
        pass
    return found


def raw(door: Door, data: bytes) -> bytes:
    with connected(door.port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return rest(sock)


@pytest.mark.parametrize(
    "data",
    [
        GET,
        b"\x16\x03\x01\x02\x00\x01\x00" * 100,
        b"\0" * 5000,
        b"[1, 2]",
        b"null",
        b"{bad}",
        b'{"action": "list"',
        b'{"action": "list"}{"action": "list"}',
        b'{"a":' * 5000,
        b'{"a": "\xff\xfe"}',
        b'{"action": "register", "instance_id": {"a": 1}}',
        b'{"action": "register", "instance_id": "' + b"x" * 900_000 + b'"}',
    ],
)
def test_what_is_no_request_gets_an_error(door: Door, data: bytes) -> None:
    found = json.loads(raw(door, data))
    assert found["status"] == "error"
    assert found["message"]


def test_random_bytes_get_an_error_or_nothing(door: Door) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(100):
        data = chance.randbytes(chance.randrange(2000))
        data = b"{" + data if chance.random() < 0.5 else data
        found = raw(door, data)
        assert not found or json.loads(found)["status"] == "error"
    assert "Traceback" not in door.said()


def test_who_wants_nothing_is_closed(door: Door) -> None:
    assert raw(door, b"") == b""
    assert raw(door, b" \n") == b""


def test_more_than_a_request_may_have_is_told_while_it_is_sent(door: Door) -> None:
    with connected(door.port) as sock:
        sock.sendall(b'{"a": "' + b"x" * DEFAULTS.request_size)
        assert "too large" in answer_of(sock)["message"]
        sock.sendall(b"y" * 100_000)
        assert rest(sock) == b""


def test_bytes_that_never_end_are_cut(door: Door) -> None:
    with connected(door.port) as sock:
        sock.sendall(GET)
        answer_of(sock)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            sock.sendall(b"x" * 100_000_000)


def test_nothing_is_left_of_them(door: Door) -> None:
    before = descriptors(door)
    for _ in range(200):
        raw(door, GET)
    until(lambda: descriptors(door) <= before, "all are closed")


def test_ten_thousand_idle_connections_harm_nobody(own_door: NewDoor) -> None:
    door = own_door("--rate", "0", *LONG)
    fred = door.registered("fred")
    alone = typical(fred)
    with idle(door, IDLE):
        until(lambda: descriptors(door) > IDLE, "they are there")
        bound = max(SERVED_S, 5 * alone)
        assert any(typical(fred) < bound for _ in range(TRIES))


def typical(fred: Old) -> float:
    """The median of some answers."""
    times = sorted(timed(fred) for _ in range(25))
    return times[len(times) // 2]


def timed(fred: Old) -> float:
    begun = time.monotonic()
    assert fred("list")["status"] == "ok"
    return time.monotonic() - begun


@contextmanager
def idle(door: Door, count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        pytest.skip(f"needs {count + 500} descriptors, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(count):
            stack.enter_context(connected(door.port))
        yield


def descriptors(door: Door) -> int:
    return len(list(Path(f"/proc/{door.process.pid}/fd").iterdir()))


def test_beyond_the_bound_the_oldest_that_says_nothing_whole_goes(
    own_door: NewDoor,
) -> None:
    door = own_door("--rate", "0", *LONG, limit=300)
    fred = door.registered("fred")
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(door.port)) for _ in range(300)]
        silent[1].sendall(b"{")
        assert "Too many connections" in answer_of(silent[0])["message"]
        assert fred("list")["status"] == "ok"
        assert "Too many connections" in answer_of(silent[1])["message"]


def test_more_instances_than_clients_are_all_served(own_door: NewDoor) -> None:
    """With so few descriptors, the clients of those that were idle longest go."""
    door = own_door("--rate", "0", limit=300)
    crowd = [door.registered(f"crowd-{number}") for number in range(12)]
    for turn in range(2):
        for old, following in zip(crowd, [*crowd[1:], crowd[0]], strict=True):
            assert old.send(following.name, f"turn {turn}")["status"] == "ok"
        assert [old.contents() for old in crowd] == [[f"turn {turn}"]] * len(crowd)
        assert descriptors(door) < 250
