"""Links that die, freeze, wake up and stand in for each other: all arrives once, in
order, and what an old one has still under way does no harm."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import Settings
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.conftest import Make
from tests.bridges.wires import Wire
from tests.broker.harness import OPERATOR


def twins(town: Cluster) -> tuple[Wire, Wire]:
    """The leader, and one that stands by."""
    leader, _ = town.bridge("dev", "prod")
    other = town.link("dev", "prod", leader.rules)
    town.run()
    assert (leader.state, other.state) == ("running", "standby")
    return leader, other


def flow(town: Cluster, first: int, last: int) -> None:
    for n in range(first, last):
        town.send("alice@dev", "bob@prod", body=str(n))
        town.run()


def numbers(last: int) -> list[str]:
    return [str(n) for n in range(last)]


def test_the_other_takes_over_when_the_leader_dies(both: Cluster) -> None:
    leader, other = twins(both)
    leader.destination.held_up = True
    flow(both, 0, 3)
    both.kill(leader)
    both.pass_time(2)
    assert other.state == "running"
    flow(both, 3, 5)
    assert texts(both.read("bob@prod")) == numbers(5)
    assert both.described("dev", "prod")["epoch"] == 2


@pytest.mark.parametrize("heard", [True, False])
def test_a_leader_that_was_frozen_finds_another_in_its_place(
    town: Cluster, heard: bool
) -> None:
    """`heard`: prod had taken what it handed over, and it did not hear of it."""
    leader, other = twins(town)
    leader.destination.held_up = not heard
    leader.destination.held_down = True
    flow(town, 0, 3)
    leader.frozen = True
    town.advance(7)
    town.pass_time(2)
    assert other.state == "running"
    flow(town, 3, 5)
    leader.heal()
    town.pass_time(2)
    assert (leader.state, other.state) == ("standby", "running")
    flow(town, 5, 7)
    assert texts(town.read("bob@prod")) == numbers(7)


def test_what_an_old_leader_has_under_way_is_refused_when_a_new_one_has_begun(
    both: Cluster,
) -> None:
    """It lost its source, and with it the lead, and its frames still stand before the
    destination; it hands over older mail than the new leader did."""
    leader, other = twins(both)
    leader.destination.held_up = True
    flow(both, 0, 3)
    leader.cut(leader.source)
    both.pass_time(2)
    assert other.state == "running"
    flow(both, 3, 5)
    assert texts(both.read("bob@prod")) == numbers(5)
    leader.destination.held_up = False
    both.run()
    assert both.read("bob@prod") == []
    came = both.described("prod", "dev")["came"]
    assert (came["accepted"], came["duplicate"]) == (5, 0)


def test_what_an_old_leader_has_under_way_counts_if_it_comes_first(
    town: Cluster,
) -> None:
    leader, other = twins(town)
    leader.destination.held_up = True
    flow(town, 0, 1)
    leader.cut(leader.source)
    other.destination.held_up = True
    town.pass_time(2)
    assert other.state == "running"
    leader.destination.held_up = False
    town.run()
    assert texts(town.read("bob@prod")) == ["0"]
    other.destination.held_up = False
    town.run()
    assert town.read("bob@prod") == []
    came = town.described("prod", "dev")["came"]
    assert (came["accepted"], came["duplicate"]) == (1, 1)


def test_what_the_dead_have_said_may_still_arrive(town: Cluster) -> None:
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    flow(town, 0, 3)
    town.kill(there, told=False, stray=True)
    town.link("dev", "prod", there.rules)
    town.run()
    town.let_stray()
    town.advance(7)
    town.pass_time(2)
    flow(town, 3, 5)
    assert texts(town.read("bob@prod")) == numbers(5)


def test_two_bridges_of_one_pair_double_nothing(both: Cluster) -> None:
    """Each side runs a bridge, as each thinks that the other does not."""
    first = both.bridge("dev", "prod")
    second = both.bridge("prod", "dev")
    states = sorted(wire.state for wire in (*first, *second))
    assert states == ["running", "running", "standby", "standby"]
    for n in range(5):
        both.send("alice@dev", "bob@prod", body=str(n))
        both.send("bob@prod", "alice@dev", body=str(n))
    both.run()
    assert texts(both.read("bob@prod")) == numbers(5)
    assert texts(both.read("alice@dev")) == numbers(5)
    assert sum(len(wire.handed) for wire in both.wires) == 10


@pytest.mark.parametrize("network", ["dev", "prod"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("frames", range(6))
def test_a_broker_may_go_at_any_frame(
    town: Cluster, network: str, told: bool, frames: int
) -> None:
    town.bridge("dev", "prod")
    for n in range(3):
        town.send("alice@dev", "bob@prod", body=str(n))
    for _ in range(frames):
        town.step()
    town.restart(network, told=told)
    town.send("alice@dev", "bob@prod", body="3")
    town.run()
    town.pass_time(2)
    assert texts(town.read("bob@prod")) == numbers(4)
    assert town.described("dev", "prod")["led"]


@pytest.mark.parametrize("frames", range(8))
def test_a_link_may_die_at_any_frame(town: Cluster, frames: int) -> None:
    there, _ = town.bridge("dev", "prod")
    for n in range(3):
        town.send("alice@dev", "bob@prod", body=str(n))
    for _ in range(frames):
        town.step()
    town.kill(there)
    town.send("alice@dev", "bob@prod", body="3")
    town.link("dev", "prod", there.rules)
    town.run()
    assert texts(town.read("bob@prod")) == numbers(4)


def test_a_bridge_that_is_paused_stays_so_for_the_one_that_stands_by(
    town: Cluster,
) -> None:
    leader, other = twins(town)
    town.nets["dev"].call(OPERATOR, "steer", "prod", "pause")
    town.pass_time(3)
    assert (leader.state, other.state) == ("paused", "paused")
    flow(town, 0, 2)
    assert town.read("bob@prod") == []
    town.nets["dev"].call(OPERATOR, "steer", "prod", "resume")
    town.pass_time(3)
    assert sorted((leader.state, other.state)) == ["running", "standby"]
    assert texts(town.read("bob@prod")) == numbers(2)


def test_every_link_hears_that_its_rules_are_to_be_read_again(town: Cluster) -> None:
    leader, other = twins(town)
    town.pass_time(2)
    town.nets["dev"].call(OPERATOR, "steer", "prod", "reload")
    town.pass_time(2)
    assert (leader.reloads, other.reloads) == (1, 1)


def test_who_asks_for_more_topics_than_an_agent_may_join_does_not_lead(
    make_town: Make,
) -> None:
    """And so does not keep the lead from one that asks for less."""
    town = make_town(dev=Settings(max_topics=1))
    greedy = town.link("dev", "prod", rules_of("dev", "prod", "* -> #a", "* -> #b"))
    town.run()
    assert greedy.state == "config_error"
    assert "max_topics" in greedy.link.why
    other = town.link("dev", "prod", rules_of("dev", "prod", "* -> #a"))
    town.run()
    assert other.state == "running"
