"""Brokers that die, freeze and are replaced under a client."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ipcbus import Client
from ipcbus.errors import Disconnected, NoBroker, TimedOut
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.client.conftest import Connect
from tests.waiting import until


def kill(broker: BrokerInfo) -> None:
    os.kill(broker.pid, signal.SIGKILL)


@pytest.mark.chaos
def test_nothing_is_lost_when_the_broker_is_killed(
    network: Network, broker: BrokerInfo, alice: Client, bob: Client
) -> None:
    """Four kills under load: every send is accepted once, every message received,
    in order, and again only if it was unacked."""
    total, got = 4000, []
    sendings = []

    def send() -> None:
        for number in range(total):
            sendings.append(alice.submit("bob", str(number)))
            if number % 10 == 0:
                sendings[-1].result(30)

    sender = threading.Thread(target=send)
    sender.start()
    kills = iter((500, 1000, 2000, 3000))
    next_kill: int | None = next(kills)
    for message in bob:
        got.append(int(message.body))
        message.ack()
        if next_kill is not None and len(set(got)) >= next_kill:
            next_kill = next(kills, None)
            info = network.broker_info()
            assert info is not None
            kill(info)
        if len(set(got)) == total:
            break
    sender.join(30)
    states = {sending.result(30).state for sending in sendings}
    assert states == {"accepted"}
    firsts = list(dict.fromkeys(got))
    assert firsts == list(range(total))
    bob.flush()
    assert bob.fetch() == ([], 0)


@pytest.mark.chaos
def test_a_takeover_by_a_client_is_quick(
    broker: BrokerInfo, alice: Client, bob: Client
) -> None:
    alice.send("bob", "warm")
    begun = time.monotonic()
    kill(broker)
    alice.send("bob", "after")
    # Half a second on a quiet machine, and most of it is Python starting up.
    assert time.monotonic() - begun < 5
    assert alice.epoch == broker.epoch + 1


@pytest.mark.chaos
def test_what_is_held_stays_held_through_a_takeover(
    broker: BrokerInfo, alice: Client, bob: Client
) -> None:
    alice.send("bob", "work")
    (work,) = bob.receive(timeout=5)
    kill(broker)
    until(lambda: bob.connected and bob.epoch > broker.epoch)
    assert bob.receive(timeout=0.3) == []
    work.ack().result(10)


@pytest.mark.chaos
def test_a_question_is_answered_across_a_takeover(
    broker: BrokerInfo, alice: Client, bob: Client
) -> None:
    def answer() -> None:
        (question,) = bob.receive(timeout=30)
        kill(broker)
        question.reply("!")
        question.ack()

    thread = threading.Thread(target=answer)
    thread.start()
    assert alice.ask("bob", "?", timeout=30).body == "!"
    thread.join(10)


@pytest.mark.chaos
def test_a_frozen_broker_is_given_up_and_comes_back(
    broker: BrokerInfo, alice: Client
) -> None:
    """It holds the lock, so nobody takes over; clients wait and lose nothing."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises((TimedOut, NoBroker)) as raised:
            alice.send("alice", "x", timeout=0.3, id="once")
        assert raised.value.id == "once"
        until(lambda: not alice.connected, bound=15)
        with pytest.raises(NoBroker):
            alice.call("agents", 0, timeout=0.3)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert alice.send("alice", "x", id="once", timeout=30).again


def test_without_leave_to_start_one_it_waits_for_a_broker(
    network: Network, broker: BrokerInfo, connect: Connect
) -> None:
    alice = connect("alice", start=False)
    launch.stop(network)
    with pytest.raises(NoBroker):
        alice.send("alice", "x", timeout=0.5)
    with pytest.raises(NoBroker):
        alice.receive(timeout=0.1)
    second = launch.start(network)
    alice.send("alice", "y", timeout=10)
    assert alice.epoch == second.epoch
    messages, _ = alice.fetch(10)
    assert [m.body for m in messages] == ["x", "y"]


def test_a_broker_that_was_stopped_is_not_started_by_idle_clients(
    network: Network, broker: BrokerInfo, alice: Client, bob: Client
) -> None:
    reader = threading.Thread(target=bob.receive, kwargs={"timeout": 30})
    reader.start()
    launch.stop(network)
    until(lambda: not alice.connected and not bob.connected)
    assert not network.is_served()
    alice.send("bob", "there is work again")
    reader.join(10)
    assert not reader.is_alive()
    assert network.is_served()


def test_a_client_whose_socket_broke_comes_back(alice: Client, bob: Client) -> None:
    """The broker sees a new session of the same agent; what was held stays so."""
    bob.send("alice", "held")
    (held,) = alice.receive(timeout=5)
    first = alice._engine.tracker.welcome
    alice._engine.post(_break_off)
    until(lambda: alice._engine.tracker.welcome is not first)
    held.ack().result(10)
    bob.send("alice", "next")
    assert alice.receive(timeout=10)[0].body == "next"


def _break_off() -> None:
    raise Disconnected(network="dev", reason="broken by the test")
