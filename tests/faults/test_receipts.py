"""Acks that come late, twice, or when another broker has taken over: of each message
one is good, and who said another is told. Real brokers, real sessions of one agent."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import ipcbus
from ipcbus.errors import IpcbusError, NoBroker, StaleLease, TimedOut
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.messages import Accepted, Call, RefusedCall, Settle, Settled
from ipcbus.protocol.pieces import runs
from ipcbus.transport import launch
from tests.faults.crew import kill_broker, serving, status, waiting
from tests.faults.history import OK, STALE, UNKNOWN
from tests.transport.members import members, take
from tests.transport.peers import Peer, send
from tests.waiting import until

LEASE_S = 1.0
"""The shortest that there is."""

pytestmark = pytest.mark.chaos


@pytest.fixture
def pair(broker: BrokerInfo) -> Iterator[tuple[ipcbus.Client, ipcbus.Client]]:
    """Two sessions of bob, to whom alice has sent one message."""
    with (
        ipcbus.connect("dev", agent="bob") as one,
        ipcbus.connect("dev", agent="bob") as two,
    ):
        with ipcbus.connect("dev", agent="alice") as alice:
            alice.send("bob", "pay 100", id="m1")
        yield one, two


def _held(network: Network) -> int:
    with ipcbus.connect(network.name, agent="") as operator:
        return int(operator.status()["mailboxes"]["bob"]["leased"])


def test_a_late_ack_is_good_while_nobody_else_was_given_the_message(
    network: Network, pair: tuple[ipcbus.Client, ipcbus.Client]
) -> None:
    one, two = pair
    (message,), _ = one.fetch(lease=LEASE_S)
    until(lambda: _held(network) == 0, "its lease has run out")
    message.ack().result(10)
    assert two.fetch(timeout=0.3) == ([], 0)


def test_a_late_ack_is_stale_when_another_was_given_it(
    pair: tuple[ipcbus.Client, ipcbus.Client],
) -> None:
    one, two = pair
    (late,), _ = one.fetch(lease=LEASE_S)
    (again,), _ = two.fetch(timeout=10)
    assert (late.attempt, again.attempt) == (1, 2)
    with pytest.raises(StaleLease):
        late.ack().result(10)
    again.ack().result(10)
    assert one.fetch(timeout=0.3) == two.fetch(timeout=0.3) == ([], 0)


def _ack(peer: Peer, seq: int, attempt: int) -> list[int]:
    peer.say(Settle(5, runs([(seq, attempt)]), [], [], []))
    return peer.wait_for(Settled).stale


def test_of_two_acks_of_a_delivery_the_second_is_stale(
    network: Network, broker: BrokerInfo
) -> None:
    """By the same session, by another, and by the message's id."""
    with members(network, broker) as people:
        bob = people.agent("bob")
        bob.say(send(1, "bob", b"pay 100"))
        bob.wait_for(Accepted)
        other = people.peer(bob.keys)
        other.hello()
        given = take(bob)
        seq, attempt, id_ = given.seqs[0], given.attempts[0], given.headers[0].id
        assert _ack(bob, seq, attempt) == []
        assert _ack(bob, seq, attempt) == _ack(other, seq, attempt) == [seq]
        other.say(Call(7, "settle", ["ack", id_, 0, None], b""))
        assert other.wait_for(RefusedCall).code == StaleLease.code


def test_after_a_takeover_the_first_who_is_given_it_has_the_good_receipt(
    network: Network, broker: BrokerInfo
) -> None:
    with members(network, broker) as people:
        bob = people.agent("bob")
        bob.say(send(1, "bob", b"pay 100"))
        bob.wait_for(Accepted)
        old = take(bob)
        os.kill(broker.pid, signal.SIGKILL)
        keys = bob.keys
    until(lambda: not network.is_served(), "it is dead")
    with members(network, launch.start(network)) as people:
        second, first = people.peer(keys), people.peer(keys)
        for each in (second, first):
            each.hello()
        new = take(second)
        assert (new.seqs, old.attempts, new.attempts) == (old.seqs, [1], [2])
        assert _ack(first, old.seqs[0], 1) == old.seqs
        assert _ack(second, new.seqs[0], 2) == []
    assert waiting(network) == 0


# --- many at once --------------------------------------------------------------

MESSAGES, SESSIONS = 60, 4


def _work(
    client: ipcbus.Client, rng: random.Random, told: list[tuple[str, str]]
) -> None:
    """Take some, be slow or not, ack them all, until nothing comes any more."""
    idle = 0
    while idle < 3:
        try:
            found, _ = client.fetch(5, lease=LEASE_S, timeout=1.0)
        except (NoBroker, TimedOut):
            continue
        idle = 0 if found else idle + 1
        held = rng.choice((0.0, 0.0, 0.8 * LEASE_S, 1.5 * LEASE_S))
        threading.Event().wait(held if found else 0.0)
        acks = [(message.id, message.ack()) for message in found]
        told += [(id_, _outcome(ack)) for id_, ack in acks]


def _outcome(ack: ipcbus.Pending[None]) -> str:
    try:
        ack.result(30)
    except StaleLease:
        return STALE
    except IpcbusError:
        return UNKNOWN
    return OK


@pytest.mark.slow
def test_of_all_acks_of_many_slow_sessions_one_of_each_message_is_good(
    network: Network, broker: BrokerInfo, show: Callable[[str], None]
) -> None:
    """Some are slower than their leases, and the broker is killed among them."""
    with ipcbus.connect("dev", agent="bob"), ipcbus.connect("dev", agent="a") as alice:
        for n in range(MESSAGES):
            alice.send("bob", "x", id=f"m{n}")
    clients = [ipcbus.connect("dev", agent="bob") for _ in range(SESSIONS)]
    told: list[tuple[str, str]] = []
    threads = [
        threading.Thread(target=_work, args=(client, random.Random(seed), told))
        for seed, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(told) >= MESSAGES // 3, "a third is done")
    kill_broker(network)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for client in clients:
        client.close()
    good = Counter(id_ for id_, outcome in told if outcome == OK)
    assert serving(network).epoch == broker.epoch + 1
    assert [id_ for id_, count in good.items() if count > 1] == []
    # One that was committed when the broker died is said again, and told to be stale.
    counters = status(network)["counters"]
    assert (counters["acked"], counters.get("dead", 0)) == (MESSAGES, 0)
    assert waiting(network) == 0
    tally = Counter(outcome for _, outcome in told)
    show(f"{len(told)} acks of {MESSAGES} messages: {dict(tally)}; none good twice")


def test_what_is_held_by_another_cannot_be_extended_or_refused(
    network: Network, pair: tuple[ipcbus.Client, ipcbus.Client]
) -> None:
    one, two = pair
    (late,), _ = one.fetch(lease=LEASE_S)
    (again,), _ = two.fetch(timeout=10, lease=60)
    with pytest.raises(StaleLease):
        late.extend(60).result(10)
    with pytest.raises(StaleLease):
        late.nack(reason="no").result(10)
    assert _held(network) == 1
    again.ack().result(10)
