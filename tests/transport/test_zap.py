"""The gate's answers, one by one, and that nothing makes it raise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcbus.transport.zap import ADDRESS, MOST, Gate

pytestmark = pytest.mark.security

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def gate(context: zmq.Context[zmq.Socket[bytes]]) -> Gate:
    gate = Gate(context, "dev")
    gate.admit(KEY)
    return gate


def request(
    key: str = KEY,
    *,
    domain: bytes = b"dev",
    version: bytes = b"1.0",
    mechanism: bytes = b"CURVE",
) -> list[bytes]:
    secret = bytes.fromhex(key) if mechanism == b"CURVE" else key.encode()
    return [version, b"7", domain, b"127.0.0.1", b"", mechanism, secret]


def test_an_admitted_key_comes_in_under_its_own_name(gate: Gate) -> None:
    answer = gate.answer(request())
    assert answer == [b"1.0", b"7", b"200", b"welcome", KEY.encode(), b""]


def test_a_plain_network_takes_the_key_from_the_user_name(gate: Gate) -> None:
    assert gate.answer(request(mechanism=b"PLAIN"))[2:5:2] == [b"200", KEY.encode()]


@pytest.mark.parametrize(
    "wrong",
    [
        request(OTHER),
        request(OTHER, mechanism=b"PLAIN"),
        request(domain=b"prod"),
        request(domain=b""),
        request(version=b"2.0"),
        request(mechanism=b"NULL"),
        request(mechanism=b"GSSAPI"),
    ],
)
def test_anyone_else_is_refused_and_gets_no_name(
    gate: Gate, wrong: list[bytes]
) -> None:
    answer = gate.answer(wrong)
    assert answer[2] == b"400"
    assert answer[4] == b""


def test_an_expelled_key_is_refused(gate: Gate) -> None:
    gate.expel(KEY)
    assert gate.answer(request())[2] == b"400"


def test_a_reset_leaves_only_the_keys_it_is_given(gate: Gate) -> None:
    gate.reset([OTHER])
    assert gate.answer(request())[2] == b"400"
    assert gate.answer(request(OTHER))[2] == b"200"


def test_who_was_refused_is_told_to_the_log(gate: Gate) -> None:
    told = []
    gate.refused = lambda key, address: told.append((key, address))
    gate.answer(request(OTHER))
    assert told == [(OTHER, "127.0.0.1")]


def test_trouble_of_our_own_is_not_now_and_lets_nobody_in(gate: Gate) -> None:
    def fail(key: str, address: str) -> None:
        raise RuntimeError

    gate.refused = fail
    assert gate.answer(request(OTHER))[2:5] == [b"300", b"internal", b""]


@given(frames=st.lists(st.binary(max_size=40), max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_makes_it_raise_or_lets_anyone_in(
    gate: Gate, frames: list[bytes]
) -> None:
    answer = gate.answer(frames)
    assert len(answer) == 6
    assert answer[2] in (b"300", b"400")


def test_a_crowd_is_answered_in_portions(
    gate: Gate, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    crowd = context.socket(zmq.DEALER)
    crowd.connect(ADDRESS)
    for number in range(MOST + 5):
        wanted = request()
        wanted[1] = b"%d" % number
        crowd.send_multipart([b"", *wanted])
    gate.serve()
    answered = []
    while crowd.poll(0):
        answered.append(crowd.recv_multipart()[2])
    assert answered == [b"%d" % number for number in range(MOST)]
    gate.serve()
    assert crowd.poll(1000)
    crowd.close(linger=0)
