"""Rights to answer that several messages leave behind, of which each is its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import DAY
from ipcbus.protocol.messages import FLAG_ACKED
from ipcbus.store.memory import MemoryStore
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, texts
from tests.bridges.wires import Wire

DAY_S = DAY // 1000
EIGHT_AND_A_HALF_DAYS = 17 * DAY // 2
"""Longer than an id of another network is known, if nothing else keeps it."""


@pytest.fixture
def town() -> Iterator[Cluster]:
    town = Cluster("a", "b", "c")
    town.people("amy@a", "ann@a", "bob@b", "ben@b", "cid@c")
    yield town
    town.close()


def _together(town: Cluster, wire: Wire, *ways: tuple[str, str]) -> None:
    """Questions, handed over in one piece."""
    wire.cut()
    for at, (sender, to) in enumerate(ways):
        town.send(sender, to, as_=f"q{at}", kind="request", body=f"for {to}")
    wire.heal()
    town.run()


def test_of_questions_that_come_together_each_is_answered_to_who_asked_it(
    town: Cluster,
) -> None:
    there, _ = town.bridge("a", "b", "a* -> b* kinds=request replies=1/1h")
    _together(town, there, ("amy@a", "bob@b"), ("ann@a", "ben@b"))
    for replier, asker in (("bob@b", "amy@a"), ("ben@b", "ann@a")):
        (question,) = town.read(replier)
        town.send(replier, asker, reply_to=question.header.id, body=f"of {replier}")
    town.run()
    assert texts(town.read("amy@a")) == ["of bob@b"]
    assert texts(town.read("ann@a")) == ["of ben@b"]


def test_what_comes_behind_an_ack_may_be_answered_as_if_it_came_alone(
    town: Cluster,
) -> None:
    """The ack grants nothing, since nobody answers it."""
    _, back = town.bridge(
        "a", "b", "amy -> bob kinds=inform", "amy <- bob kinds=request replies=1/1h"
    )
    town.send("amy@a", "bob@b", flags=FLAG_ACKED)
    town.run()
    back.cut()
    assert texts(town.read("bob@b")) == ["hi"]
    town.send("bob@b", "amy@a", as_="q", kind="request")
    back.heal()
    town.run()
    assert [one.header.kind for one in town.read("amy@a")] == ["ack", "request"]
    town.send("amy@a", "bob@b", kind="reply", reply_to="q@b", body="yes")
    town.run()
    assert texts(town.read("bob@b")) == ["yes"]


def test_who_sent_far_hears_that_it_was_read_however_late(town: Cluster) -> None:
    """The network between lets the word back for as long as the message is good."""
    terms = Terms(max_hops=2)
    far = "*@* -> *@c transit"
    town.bridge("a", "b", "* <-> *", far, terms=terms)
    town.bridge("b", "c", "* <-> *", far, terms=terms)
    ttl_ms = EIGHT_AND_A_HALF_DAYS
    town.send("amy@a", "cid@c", as_="m1", ttl_ms=ttl_ms, flags=FLAG_ACKED)
    town.run()
    for _ in range(8):
        town.advance(DAY_S)
    assert texts(town.read("cid@c")) == ["hi"]
    town.run()
    (ack,) = town.read("amy@a")
    assert (ack.header.kind, ack.header.reply_to) == ("ack", "m1")


def test_who_sent_far_hears_that_it_expired_however_late(town: Cluster) -> None:
    terms = Terms(max_hops=2)
    town.bridge("a", "b", "* <-> *", "*@* -> *@c transit", terms=terms)
    town.bridge("b", "c", "* <-> *", "*@* -> *@c transit", terms=terms)
    town.send("amy@a", "cid@c", as_="m1", ttl_ms=EIGHT_AND_A_HALF_DAYS)
    town.run()
    for _ in range(9):
        town.advance(DAY_S)
    (bounce,) = town.read("amy@a")
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "m1")


@pytest.mark.parametrize("answers", [1, 2])
def test_who_was_renamed_may_answer_what_came_through_a_third_network(
    town: Cluster, answers: int
) -> None:
    far = Terms(max_hops=8)
    town.bridge("a", "b", "*@* -> *@c transit replies=1/10h", terms=far)
    town.bridge("b", "c", "*@* -> *@c transit replies=2/10h", terms=far)
    town.send("amy@a", "cid@c", as_="q", kind="request")
    town.run()
    (question,) = town.read("cid@c")
    town.nets["c"].call(b"cid", "rename", None, "sid")
    for n in range(answers):
        to = question.header.id
        town.send("cid@c", "amy@a", reply_to=to, kind="reply", body=f"yes {n}")
        town.run()
    assert texts(town.read("amy@a")) == ["yes 0"]
    bounces = [one.header.kind for one in town.read("cid@c")]
    assert bounces == ["bounce"] * (answers - 1)


def test_who_has_the_name_of_who_got_it_may_not_answer_in_its_place(
    town: Cluster,
) -> None:
    far = Terms(max_hops=8)
    town.bridge("a", "b", "*@* -> *@c transit replies=1/10h", terms=far)
    town.bridge("b", "c", "*@* -> *@c transit replies=2/10h", terms=far)
    town.people("dan@c")
    town.send("amy@a", "cid@c", as_="q", kind="request")
    town.run()
    (question,) = town.read("cid@c")
    town.send("dan@c", "amy@a", reply_to=question.header.id, body="me too")
    town.run()
    assert texts(town.read("amy@a")) == []


def test_a_rule_lets_others_answer_but_not_in_the_name_of_who_got_it(
    town: Cluster,
) -> None:
    """Its way on is by a rule as well, and there is none."""
    far = Terms(max_hops=8)
    town.bridge("a", "b", "*@* -> *@c transit replies=1/10h", terms=far)
    town.bridge(
        "b", "c", "*@* -> *@c transit replies=2/10h", "*@a <- *@c transit", terms=far
    )
    town.people("dan@c")
    town.send("amy@a", "cid@c", as_="q", kind="request")
    town.run()
    (question,) = town.read("cid@c")
    town.send("dan@c", "amy@a", reply_to=question.header.id, body="me too")
    town.run()
    assert texts(town.read("amy@a")) == []
    assert [one.header.kind for one in town.read("dan@c")] == ["bounce"]


def test_an_answer_comes_through_a_network_that_has_forgotten_the_question(
    town: Cluster,
) -> None:
    far = Terms(max_hops=8)
    town.bridge("a", "b", "*@* -> *@c transit replies=1/10h", terms=far)
    town.bridge("b", "c", "*@* -> *@c transit replies=2/10h", terms=far)
    town.send("amy@a", "cid@c", as_="q", kind="request")
    town.run()
    (question,) = town.read("cid@c")
    between = town.nets["b"].store
    assert isinstance(between, MemoryStore)
    row = between.mail.find("q@a")
    assert row is not None
    between.begin()
    between._state.purge([row])
    between.commit()
    assert between.mail.find("q@a") is None
    town.send("cid@c", "amy@a", reply_to=question.header.id, body="yes")
    town.run()
    assert texts(town.read("amy@a")) == ["yes"]
