"""A program that dies and comes back, and its part of the history."""

from __future__ import annotations

import random

import pytest

from ipcbus.errors import StoreFull
from ipcbus.testing import FakeClock, History, MemoryBroker
from ipcbus.testing.history import FAILED, OK, UNKNOWN, Acked, Got
from ipcbus.testing.member import Mail, Member, in_full


class Pair:
    """Two members of one network."""

    def __init__(self) -> None:
        self.bus = MemoryBroker(FakeClock())
        self.history = History()
        self.ann = Member(self.bus, "ann", self.history)
        self.bob = Member(self.bus, "bob", self.history)
        self.bus.settle_down()

    def send(self, *keys: str | None, to: str = "bob") -> list[str]:
        return [self.ann.send(Mail(to, "x", key, None)) for key in keys]

    def read(self) -> list[str]:
        """What bob gets, acked."""
        self.bob.client.read()
        self.bus.settle_down()
        found = self.bob.take()
        self.bob.ack_all()
        self.bus.settle_down()
        return found


@pytest.fixture
def pair() -> Pair:
    return Pair()


def outcomes(pair: Pair) -> list[str]:
    return [sent.outcome for sent in pair.history.sent.values()]


def test_what_it_asks_for_and_is_told_is_in_the_history(pair: Pair) -> None:
    m1, own = pair.send("m1", None)
    pair.send("m2", to="nobody")
    assert outcomes(pair) == [UNKNOWN] * 3
    assert [f"{id_}@dev" for id_ in pair.read()] == [m1, own]
    assert outcomes(pair) == [OK, OK, FAILED]
    assert pair.history.seen == [
        Got("bob@dev", "ann@dev", m1, 1, 1),
        Got("bob@dev", "ann@dev", own, 2, 1),
        Acked("bob@dev", m1, OK),
        Acked("bob@dev", own, OK),
    ]
    assert pair.history.violations() == []


def test_it_dies_and_sends_again_what_has_a_key_in_the_same_order(pair: Pair) -> None:
    pair.send("m1", "m2", None, "m3")
    pair.ann.client.speak()
    pair.ann.die()
    assert pair.read() == ["m1", "m2", "m3"]
    assert outcomes(pair) == [OK, OK, UNKNOWN, OK]


def test_what_was_accepted_without_its_knowledge_is_stored_once(pair: Pair) -> None:
    pair.send("m1")
    pair.ann.client.speak()
    pair.ann.client.arrive()
    pair.ann.die()
    assert pair.read() == ["m1"]
    assert [sending.result(0).again for sending in pair.ann.sendings] == [True]


def test_each_of_its_lives_makes_ids_of_its_own(pair: Pair) -> None:
    [first] = pair.send(None)
    pair.ann.die()
    [second] = pair.send(None)
    assert first != second


def test_what_it_gave_up_is_unknown_for_ever(pair: Pair) -> None:
    pair.send("m1")
    assert pair.ann.give_up(random.Random(0)) == "m1@dev"
    assert pair.read() == ["m1"]
    assert outcomes(pair) == [UNKNOWN]
    assert pair.ann.give_up(random.Random(0)) == "", "nothing is waited for"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_it_decides_about_mail_it_is_told_of_it(pair: Pair, seed: int) -> None:
    pair.send("m1", "m2", "m3")
    pair.bob.client.read()
    pair.bus.settle_down()
    pair.bob.take()
    how = pair.bob.settle(random.Random(seed))
    assert how.split()[0] in ("ack", "nack", "release", "extend")
    pair.bus.settle_down()
    assert all(one.done() for one in pair.bob.settling)
    assert not pair.bob.problems


def test_a_fetch_is_read_when_it_is_there(pair: Pair) -> None:
    pair.send("m1")
    pair.bus.settle_down()
    pair.bob.fetch(random.Random(0))
    assert pair.bob.take() == []
    pair.bus.settle_down()
    assert pair.bob.take() == ["m1"]


def test_a_bounce_is_no_mail_but_what_came_back(pair: Pair) -> None:
    pair.ann.send(Mail("bob", "x", "m1", 1.0))
    pair.bus.settle_down()
    pair.bus.clock.advance(2)
    pair.bus.turn()
    pair.ann.client.read()
    pair.bus.settle_down()
    pair.ann.take()
    assert pair.ann.returned == {"m1@dev"}
    assert pair.history.seen == []


def test_an_ack_that_is_refused_is_a_problem(pair: Pair) -> None:
    pair.send("m1")
    pair.bob.client.read()
    pair.bus.settle_down()
    pair.bob.take()
    pair.bob.ack_all()
    pair.bob.settling[0].fail(StoreFull(network="dev"))
    [problem] = pair.bob.problems
    assert problem.startswith("an ack of m1@dev was refused: ")


def test_it_says_what_it_still_waits_for(pair: Pair) -> None:
    pair.send("m1")
    assert not pair.ann.is_at_rest()
    assert pair.ann.unfinished() == ["ann was never told of m1"]
    pair.read()
    assert pair.ann.is_at_rest()
    assert pair.ann.unfinished() == []


def test_a_name_in_full_has_its_network() -> None:
    assert in_full("ann", "dev") == "ann@dev"
    assert in_full("ann@prod", "dev") == "ann@prod"
