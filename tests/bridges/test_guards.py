"""Guards at the border: foreign agents count like those of here, control messages stay
in their network, and what a person has paused does not leave either."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.pieces import unpack_meta
from tests.bridges.cluster import Cluster, texts
from tests.bridges.conftest import Make
from tests.broker.harness import OPERATOR, Delivered

OFF = Settings(guard_pair=0, guard_thread=0, guard_repeats=0)
STRICT = Settings(guard_pair=4)
ALICE, BOB = "alice@dev", "bob@prod"
MOST = 100


def bounces(mail: list[Delivered]) -> list[tuple[str, str]]:
    said = [unpack_meta(one.header.meta).data for one in mail]
    return [(one["status"], one["code"]) for one in said]


def answer_each_other(town: Cluster, to: dict[str, str]) -> list[str]:
    """Alice and bob write to each other until one may not, or gets a bounce; what the
    last one was told."""
    ends = ((ALICE, to[ALICE]), (BOB, to[BOB]))
    for at in range(MOST):
        sender, there = ends[at % 2]
        told = town.send(sender, there, body=f"words {at}")
        town.run()
        came = [one.header.kind for one in town.read((BOB, ALICE)[at % 2])]
        if told != "accepted" or not came:
            return [told, *came]
    raise AssertionError(f"still talking after {MOST} messages")


PRIVATE = {ALICE: BOB, BOB: ALICE}


def test_the_network_of_the_receiver_stops_a_loop_and_its_sender_gets_a_bounce(
    make_town: Make,
) -> None:
    town = make_town(dev=OFF, prod=STRICT)
    town.bridge("dev", "prod")
    told = answer_each_other(town, PRIVATE)
    if told == ["accepted"]:
        assert bounces(town.read(ALICE)) == [("5.7.28", "loop_stopped")]
    else:
        assert told == ["loop_stopped"]
    (row,) = town.nets["prod"].call(OPERATOR, "status")["guards"]["rounds"]
    assert row["agents"] == ["alice@dev", "bob"]
    assert row["until_ms"] > 0


@pytest.mark.parametrize("body", ["", "thanks!"])
def test_a_bounce_says_why_it_was_not_taken(make_town: Make, body: str) -> None:
    town = make_town(dev=OFF, prod=Settings(guard_pair=2))
    town.bridge("dev", "prod")
    for at in range(2):
        town.send(ALICE, BOB, body=body or f"a{at}")
        town.run()
        town.send(BOB, ALICE, body=f"b{at}")
        town.run()
    town.read(ALICE)
    # Alice's second closed the first turn, bob's second the other.
    assert town.send(ALICE, BOB, body=body or "a2") == "accepted"
    town.run()
    (bounce,) = town.read(ALICE)
    assert "answered each other 2 times in a minute" in bounce.text
    assert "Do not send it again" in bounce.text
    town.advance(1)
    assert town.described("dev", "prod")["counters"]["refused"] == 1


def test_the_network_of_the_sender_stops_it_at_once(make_town: Make) -> None:
    town = make_town(dev=STRICT, prod=OFF)
    town.bridge("dev", "prod")
    answer_each_other(town, PRIVATE)
    (row,) = town.nets["dev"].call(OPERATOR, "status")["guards"]["rounds"]
    assert row["agents"] == ["alice", "bob@prod"]


def test_a_loop_through_a_topic_of_two_networks_is_stopped(make_town: Make) -> None:
    town = make_town(dev=OFF, prod=STRICT)
    town.bridge("dev", "prod", "*@* -> #room")
    town.nets["dev"].call(b"alice", "join", "room")
    town.nets["prod"].call(b"bob", "join", "room")
    town.advance(1)
    answer_each_other(town, {ALICE: "#room", BOB: "#room"})


def test_requests_and_their_answers_cross_as_often_as_they_like(
    make_town: Make,
) -> None:
    strict = Settings(guard_pair=1, guard_thread=1, guard_repeats=1)
    town = make_town(dev=strict, prod=strict)
    town.bridge("dev", "prod")
    for at in range(20):
        assert town.send(ALICE, BOB, kind="request", as_=f"q{at}") == "accepted"
        town.run()
        (question,) = town.read(BOB)
        answer = {"kind": "reply", "reply_to": question.header.id}
        assert town.send(BOB, ALICE, **answer) == "accepted"
        town.run()
        assert [one.header.reply_to for one in town.read(ALICE)] == [f"q{at}"]


def test_control_stays_in_its_network_whatever_rules_say(town: Cluster) -> None:
    town.bridge("dev", "prod", "alice -> bob kinds=control")
    assert town.send(ALICE, BOB, kind="control") == "accepted"
    town.run()
    assert town.read(BOB) == []
    (bounce,) = town.read(ALICE)
    assert bounces([bounce]) == [("5.7.1", "not_permitted")]
    assert "control messages stay in their network" in bounce.text


def test_an_ack_of_another_network_cannot_be_answered(make_town: Make) -> None:
    town = make_town(dev=OFF, prod=OFF)
    town.bridge("dev", "prod")
    town.send(ALICE, BOB, as_="m1")
    town.run()
    town.send(BOB, ALICE, as_="a1", kind="ack", reply_to="m1@dev")
    town.run()
    assert [one.header.kind for one in town.read(ALICE)] == ["ack"]
    assert town.send(ALICE, BOB, reply_to="ipcbus-9@prod") == "not_permitted"


@pytest.mark.parametrize("name", [None, "bob"])
def test_what_is_paused_waits_and_crosses_later(
    make_town: Make, name: str | None
) -> None:
    """A network holds what would leave it, an agent what it would be given."""
    town = make_town()
    town.bridge("dev", "prod")
    where = "dev" if name is None else "prod"
    town.nets[where].call(OPERATOR, "pause", name)
    town.send(ALICE, BOB, body="later")
    town.run()
    assert town.read(BOB) == []
    assert town.described("dev", "prod")["queued"] == (1 if name is None else 0)
    town.nets[where].call(OPERATOR, "resume", name)
    town.run()
    assert texts(town.read(BOB)) == ["later"]
