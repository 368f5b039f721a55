"""One broker at a time: the second one, the next one, and how one ends."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable

import pytest

from ipcbus.errors import (
    AlreadyServing,
    StoreFailed,
)
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.messages import Accepted, Answer, Call, Closed, Credit, Pong
from ipcbus.transport import launch
from tests.transport.members import Members, members, take
from tests.transport.peers import send
from tests.waiting import until


@pytest.fixture
def serve() -> Callable[[Network], BrokerInfo]:
    """Brokers whose ends this process is told, as their starter is."""
    return launch.start


def ended(info: BrokerInfo) -> bool:
    """Whether it has ended and was waited for."""
    mine = [child for child in launch._started if child.pid == info.pid]
    return all(child.poll() is not None for child in mine)


def log(network: Network) -> str:
    return network.log.read_text()


# --- one at a time -------------------------------------------------------------


def test_of_two_brokers_on_one_folder_the_second_gives_up(
    network: Network, broker: BrokerInfo
) -> None:
    with pytest.raises(AlreadyServing, match=str(broker.pid)):
        launch.start(network)
    assert network.broker_info() == broker
    with members(network, broker):
        pass


@pytest.mark.chaos
def test_a_killed_broker_is_followed_by_one_on_the_same_port(
    network: Network, broker: BrokerInfo
) -> None:
    with members(network, broker) as people:
        alice, bob = people.agent("alice"), people.agent("bob")
        alice.say(send(1, "bob", b"kept"))
        alice.wait_for(Accepted)
        os.kill(broker.pid, signal.SIGKILL)
        until(lambda: ended(broker), "it is dead")
        after = launch.start(network)
        assert after.endpoint == broker.endpoint
        assert after.epoch == broker.epoch + 1
        bob.say(send(9, "bob", b"an old session's word"))
        assert bob.wait_for(Closed).code == "disconnected"
        back = people.peer(bob.keys)
        back.hello(last_epoch=broker.epoch)
        assert take(back).bodies == [b"kept"]


@pytest.mark.chaos
def test_a_killed_broker_can_be_followed_ten_times(network: Network) -> None:
    pair = None
    for epoch in range(1, 11):
        info = launch.start(network)
        assert info.epoch == epoch
        people = Members(network, info)
        try:
            pair = pair or people.register("alice")
            alice = people.peer(pair)
            alice.hello()
            alice.say(send(epoch, "alice", b"%d" % epoch))
            assert alice.wait_for(Accepted).exceptions == []
        finally:
            os.kill(info.pid, signal.SIGKILL)
            people.close()
        until(lambda info=info: ended(info), "it is dead")  # type: ignore[misc]


@pytest.mark.chaos
def test_a_frozen_broker_keeps_its_lock_until_it_is_dead(
    network: Network, broker: BrokerInfo
) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    with pytest.raises(AlreadyServing):
        launch.start(network)
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: ended(broker), "it is dead")
    assert launch.start(network).epoch == broker.epoch + 1


# --- ending --------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_within_two_seconds(
    network: Network, broker: BrokerInfo, how: signal.Signals
) -> None:
    with members(network, broker) as people:
        alice = people.agent("alice")
        began = time.monotonic()
        os.kill(broker.pid, how)
        assert alice.wait_for(Closed).facts["reason"] == "the broker has stopped"
        until(lambda: ended(broker), "it has ended")
        assert time.monotonic() - began < 2.0
    assert not network.is_served()
    assert network.broker_info() is None
    port = int(broker.endpoint.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert "stopped" in log(network)


@pytest.mark.chaos
def test_a_frozen_client_does_not_hold_up_the_end(
    network: Network, broker: BrokerInfo
) -> None:
    with members(network, broker) as people:
        alice, bob = people.agent("alice"), people.peer(people.register("b"), rcvhwm=1)
        bob.hello()
        for ref in range(60):
            alice.say(send(ref, "b", b"." * 1_000_000))
            alice.wait_for(Accepted)
        bob.say(Credit(1, 60, 64 << 20, 60_000))
        alice.ping()
        alice.wait_for(Pong)
        os.kill(broker.pid, signal.SIGTERM)
        began = time.monotonic()
        until(lambda: ended(broker), "it has ended")
        assert time.monotonic() - began < 2.0


def test_an_operator_can_shut_it_down(network: Network, broker: BrokerInfo) -> None:
    with members(network, broker) as people:
        people.operator.say(Call(9, "shutdown", [], b""))
        assert people.operator.wait_for(Answer).ref == 9
        until(lambda: ended(broker), "it has ended")
    assert not network.is_served()


@pytest.mark.chaos
def test_a_failing_disk_ends_it_without_an_answer(
    network: Network, broker: BrokerInfo
) -> None:
    """A limit on the size of files makes every write a real I/O error."""
    with members(network, broker) as people:
        alice = people.agent("alice")
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (1, 1))
        alice.say(send(1, "alice", b"x" * 100_000))
        until(lambda: ended(broker), "it has ended")
        assert alice.hears_nothing(0.2)
    codes = [child.returncode for child in launch._started if child.pid == broker.pid]
    assert codes == [StoreFailed.exit_code]
    assert launch.start(network).epoch == broker.epoch + 1
