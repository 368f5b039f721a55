"""Messages that are sent in one breath: each has the bounds that it had alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ipcbus.broker.events import Received
from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import (
    FLAG_FUTURE,
    FLAG_GRANTED,
    FLAG_TRANSIT,
    Accepted,
    Draft,
    Send,
)
from ipcbus.store.memory import MemoryStore
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, texts
from tests.broker.harness import Harness, draft, said

ALICE, BOB = b"alice", b"bob"

Make = Callable[..., Harness]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Harness] = []

    def bus(settings: Settings | None = None, capacity: int | None = None) -> Harness:
        made.append(Harness(settings, partial(MemoryStore, capacity=capacity)))
        made[-1].join_up("alice", "bob")
        return made[-1]

    yield bus
    for one in made:
        one.broker.check_invariants()
        one.close()


def _codes(bus: Harness, drafts: list[Draft], body: str = "hi") -> list[str]:
    """Why those were refused that were."""
    return [code for _, code, _ in bus.send(ALICE, *drafts, body=body)]


# --- room -------------------------------------------------------------------------


def test_small_ones_alike_count_with_what_they_cost_beside_their_bodies(
    make: Make,
) -> None:
    bus = make(capacity=20_000)
    codes = _codes(bus, [draft(f"m{n}", "bob") for n in range(100)])
    assert set(codes) == {"store_full"}
    assert 50 < len(codes) < 100
    assert len(bus.fetch(BOB)) == 100 - len(codes)


def test_those_that_differ_share_the_room_that_is_left(make: Make) -> None:
    bus = make(capacity=20_000)
    drafts = [draft(f"m{n}", "bob", priority=n % 2) for n in range(40)]
    codes = _codes(bus, drafts, body="x" * 1000)
    assert set(codes) == {"store_full"}
    assert 20 < len(codes) < 40
    assert len(bus.fetch(BOB)) == 40 - len(codes)


@pytest.mark.parametrize(("limit", "count"), [(1, 2), (3, 5)])
def test_for_a_name_to_come_no_more_wait_than_may(
    make: Make, limit: int, count: int
) -> None:
    bus = make(Settings(future_messages=limit))
    drafts = [draft(f"m{n}", "dora", flags=FLAG_FUTURE) for n in range(count)]
    codes = _codes(bus, drafts)
    assert codes == ["future"] * limit + ["bound_exceeded"] * (count - limit)


# --- what is in them --------------------------------------------------------------


@pytest.mark.parametrize("flag", [FLAG_GRANTED, FLAG_TRANSIT, 1 << 7])
def test_flags_that_only_a_broker_may_set_are_refused(make: Make, flag: int) -> None:
    bus = make()
    ((_, code, facts),) = bus.send(ALICE, draft("m1", "bob", flags=flag))
    assert (code, facts["field"]) == ("invalid_message", "flags")
    assert bus.fetch(BOB) == []


def test_words_that_were_said_too_often_are_refused_before_new_ones(
    make: Make,
) -> None:
    bus = make(Settings(guard_repeats=2))
    for n in range(3):
        assert bus.send(ALICE, draft(f"a{n}", "bob"), body="thank you!") == []
        assert bus.send(BOB, draft(f"b{n}", "alice"), body=f"words {n}") == []
    send = Send(
        bus.ref(),
        [draft("x1", "bob"), draft("x2", "bob")],
        [b"thank you!", b"something new"],
    )
    (told,) = said(bus.say(ALICE, send), Accepted)
    assert [(at, code) for at, code, _ in told.exceptions] == [(0, "repeated")]


def test_the_last_of_them_is_news(make: Make) -> None:
    bus = make()
    bus.send(ALICE, *(draft(f"m{n}", "bob") for n in range(3)))
    seqs = [one.receipt[0] for one in bus.fetch(BOB)]
    bus.lose(BOB)
    bus.hello(BOB)
    assert bus.call(BOB, "news", seqs[1], 0)[:2] == [1, seqs[2]]


# --- over a bridge ----------------------------------------------------------------


@pytest.fixture
def town() -> Iterator[Cluster]:
    town = Cluster("dev", "prod")
    town.people("alice@dev", "bob@prod")
    yield town
    town.close()


def _asked(town: Cluster) -> str:
    """The id of a question that bob may answer three times, and write nothing else."""
    town.bridge("dev", "prod", "alice -> bob replies=3/1h")
    town.send("alice@dev", "bob@prod", as_="q", kind="request")
    town.run()
    (question,) = town.read("bob@prod")
    return question.header.id


@pytest.mark.parametrize("first", ["answer", "other"])
def test_an_answer_has_its_right_and_what_is_beside_it_has_none(
    town: Cluster, first: str
) -> None:
    question = _asked(town)
    drafts = [
        draft("answer", "alice@dev", reply_to=question),
        draft("other", "alice@dev"),
    ]
    drafts.sort(key=lambda one: one.id != first)
    assert town.nets["prod"].send(BOB, *drafts) == []
    town.run()
    assert [one.header.id for one in town.read("alice@dev")] == ["answer@prod"]
    (bounce,) = town.read("bob@prod")
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "other")


def test_answers_of_several_batches_are_counted_once_each(town: Cluster) -> None:
    """Although the broker hears of all of them in one breath."""
    question = _asked(town)
    prod = town.nets["prod"]
    batches = [["1", "2"], ["3"], ["4"]]
    sends = [
        Send(
            prod.ref(),
            [draft(id_, "alice@dev", reply_to=question) for id_ in ids],
            [id_.encode() for id_ in ids],
        )
        for ids in batches
    ]
    prod.turn(*(Received(BOB, prod.key(BOB), send) for send in sends))
    town.run()
    assert texts(town.read("alice@dev")) == ["1", "2", "3"]


def test_a_topic_that_makes_room_for_what_was_there_counts_right_afterwards(
    town: Cluster,
) -> None:
    """The next broker finds in the mailbox as many as it is told of."""
    rules = "* -> #chat overflow=drop_oldest"
    there, _ = town.bridge("dev", "prod", rules, terms=Terms(messages=2))
    town.nets["prod"].call(BOB, "join", "**")
    there.cut()
    for id_ in ("m1", "m2"):
        assert town.send("alice@dev", "#chat", as_=id_) == "accepted"
    assert town.send("alice@dev", "#chat", as_="m2") == "accepted"
    town.restart("dev")
    town.nets["dev"].broker.check_invariants()
    there.heal()
    town.run()
    assert town.described("dev", "prod")["held"] == 0
