"""Walks through ZMTP against a real port: whatever is said there, the broker goes on,
and who has no key gets in by no way."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ipcbus.networks import Network
from ipcbus.protocol.limits import MIB
from ipcbus.transport.keys import generate
from tests.faults.crew import alive, status
from tests.faults.test_frozen import frozen
from tests.transport.zmtp_walk import GROWTH, ROUND, Walk, served, serves, walk

pytestmark = pytest.mark.security

SHORT = 6 * ROUND
LONG = 400 * ROUND
SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]
MEMBER, STRANGER = True, False


@pytest.mark.parametrize(
    "count",
    [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=SLOW)],
)
@pytest.mark.parametrize(
    ("mechanism", "is_member"),
    [
        pytest.param("null", STRANGER, id="null", marks=SLOW),
        pytest.param("plain", STRANGER, id="plain", marks=SLOW),
        pytest.param("plain", MEMBER, id="plain-member"),
        pytest.param("curve", STRANGER, id="curve"),
        pytest.param("curve", MEMBER, id="curve-member"),
    ],
)
def test_whatever_is_said_at_the_port_it_serves_and_lets_in_nobody_without_a_key(
    network: Network,
    mechanism: str,
    is_member: bool,
    count: int,
    show: Callable[[str], None],
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    with served(network, mechanism) as people:
        pair = people.register("walker") if is_member else generate()
        people.register("bob")
        walker = Walk(people, mechanism, pair, random.Random(seed))
        done = walker.counts
        grown = walk(
            walker,
            lambda: done["connections"] < count,
            lambda: done["connections"] / count,
        )
        info = alive(network)
        assert info is not None
        assert (info.pid, info.epoch) == (people.broker.pid, people.broker.epoch)
        assert b"a bug" not in people.log()
    told = status(network)
    show(f"{dict(done)}, broker {grown:+.1f} MiB")
    assert (done["handshakes"] > count // 5) if is_member else not done["handshakes"]
    assert "bob" not in told["mailboxes"] or not told["mailboxes"]["bob"]["waiting"]
    assert is_member or not told["counters"].get("refused")
    assert not told["counters"].get("accepted")
    assert grown * MIB < GROWTH


def test_a_walk_tells_when_the_broker_does_not_serve(network: Network) -> None:
    """What makes the test above one that can fail."""
    with served(network, "curve") as people:
        serves(people)
        with frozen(people.broker.pid), pytest.raises(AssertionError, match="heard"):
            serves(people, 0.5)
        serves(people)
