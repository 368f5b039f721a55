"""Mail that is sent round and round: rules of bridges that lead in a ring."""

from __future__ import annotations

from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster
from tests.bridges.telling import told

RING = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"))
"""A tail that leads into a ring, and all of it on to a network that is not there."""


FAR = Terms(max_hops=8)


def ring() -> Cluster:
    town = Cluster("a", "b", "c", "d")
    town.people("alice@a")
    for here, there in RING:
        town.bridge(here, there, "*@* -> *@nowhere transit", terms=FAR)
    return town


def test_mail_that_comes_round_is_no_duplicate_but_bounces() -> None:
    """Its id is known where it passed before; that it is there it does not mean."""
    town = ring()

    assert town.send("alice@a", "bob@nowhere") == "accepted"
    town.run()

    assert told(town.read("alice@a")) == [("bounce", "5.4.6")]
    for net in town.nets.values():
        assert not any(box.messages for box in net.broker._boxes.values())


def test_each_of_a_batch_that_comes_round_bounces() -> None:
    town = ring()

    for _ in range(3):
        assert town.send("alice@a", "bob@nowhere") == "accepted"
    town.run()

    assert told(town.read("alice@a")) == 3 * [("bounce", "5.4.6")]
