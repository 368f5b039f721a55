"""Of brokers that have opened the same store only the last may write."""

from __future__ import annotations

from ipcbus.broker.events import Received
from ipcbus.protocol.messages import Ping, Pong, Send
from tests.bridges.cluster import Cluster, texts
from tests.broker.harness import draft, key_of, only


def test_a_broker_that_slept_through_a_takeover_writes_nothing_and_is_silent() -> None:
    town = Cluster("dev")
    town.people("alice@dev", "bob@dev")
    assert town.send("alice@dev", "bob", body="before") == "accepted"
    net = town.nets["dev"]
    net.usurp([])
    (sleeper,) = net.sleepers
    send = Send(1, [draft("late", "bob")], [b"late"])

    assert net.wake(sleeper, Received(b"alice", key_of("alice"), send)) is None

    assert net.sleepers == []
    assert town.send("alice@dev", "bob", as_="late", body="again") == "accepted"
    assert texts(town.read("bob@dev")) == ["before", "again"]
    town.close()


def test_it_may_go_on_as_long_as_it_has_nothing_to_write() -> None:
    town = Cluster("dev")
    town.people("alice@dev")
    net = town.nets["dev"]
    net.usurp([])
    (sleeper,) = net.sleepers

    done = net.wake(sleeper, Received(b"alice", key_of("alice"), Ping(1)))

    assert done is not None
    assert only(done, Pong).epoch < net.broker.epoch
    assert net.sleepers == [sleeper]
    town.close()
