"""What speaks no ZMTP, or an old one, on the port of a broker: how soon it is closed,
what it hears, and that nothing of it arrives."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from ipcbus.networks import Network
from ipcbus.protocol import limits
from tests.faults.crew import status
from tests.transport import zmtp
from tests.transport.members import Members, take
from tests.transport.peers import send
from tests.transport.test_hostile import NOISE, raw, serves
from tests.transport.zmtp_walk import served
from tests.waiting import until

pytestmark = pytest.mark.security

GREETING = 64
"""Bytes that a ZMTP greeting has, which anybody may see: that ZeroMQ listens here."""

AT_ONCE_S = 1.0
WAITS = {"half-a-greeting"}
"""What may still become something: it has the time of a handshake."""


def heard_until_closed(people: Members, noise: bytes) -> tuple[bytes, float]:
    """What is answered to it, and the seconds until the connection is closed."""
    heard = b""
    with raw(people) as connection:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            connection.sendall(noise)
            while piece := connection.recv(4096):
                heard += piece
        return heard, time.monotonic() - began


def test_noise_is_closed_at_once_and_hears_no_more_than_a_greeting(
    people: Members, show: Callable[[str], None]
) -> None:
    times = {}
    for kind, noise in NOISE.items():
        heard, took = heard_until_closed(people, noise)
        times[kind] = took
        patience = limits.HANDSHAKE_MS / 1000 if kind in WAITS else 0
        assert took < patience + AT_ONCE_S, kind
        assert len(heard) <= GREETING, kind
        assert people.broker.server_key not in heard.hex(), kind
        serves(people)
    waited = max(times.pop(kind) for kind in WAITS)
    show(
        f"{len(times)} kinds of noise: closed after {max(times.values()):.2f} s at the "
        f"most, half a greeting after {waited:.2f} s"
    )


def test_a_name_that_is_refused_cannot_write_into_the_log(network: Network) -> None:
    """In a plain network anybody may call himself anything."""
    with served(network, "plain") as people:
        line = zmtp.Plain(int(people.broker.endpoint.rpartition(":")[2]))
        with contextlib.closing(line), pytest.raises(zmtp.Closed):
            line.enter("\n\x1b[2J and more")
        until(lambda: b"refused key" in people.log(), "it is refused")
        (told,) = [row for row in people.log().split(b"\n") if b"refused key" in row]
    assert told.isascii()
    assert b"\x1b" not in told
    assert rb"\n\x1b[2J" in told


def test_nothing_of_any_noise_is_delivered(network: Network, people: Members) -> None:
    """Nor counted: what is no member's is not even refused by the core."""
    bob = people.agent("bob")
    for noise in NOISE.values():
        with raw(people) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(noise * 3)
    bob.say(send(1, "bob", b"mark"))
    assert take(bob).bodies == [b"mark"]
    counters = status(network)["counters"]
    assert counters["accepted"] == 1
    assert not counters.get("refused")
