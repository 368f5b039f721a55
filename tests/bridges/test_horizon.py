"""For how long what comes again is known: to the second, and by clocks that differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker.settings import Settings
from ipcbus.protocol.limits import MAX_HOLD_MS
from ipcbus.protocol.messages import Accepted, Move, Xfer
from ipcbus.store.base import FOREIGN_ID_MS
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow, told
from tests.bridges.wires import Net, Wire
from tests.broker.harness import OPERATOR, only

HOUR_S = 3600
DAY_S = 24 * HOUR_S
HOLD_S = MAX_HOLD_MS // 1000
KNOWN_S = FOREIGN_ID_MS // 1000
MARGIN_S = KNOWN_S - HOLD_S
"""By how much two clocks may part while a message waits."""

LONGEST = Terms(hold_ms=MAX_HOLD_MS, warn_ms=MAX_HOLD_MS)


def clean(net: Net) -> None:
    """What its broker does once in a while: forget what it may."""
    net.store.begin()
    net.store.archive.maintain(net.wall, net.settings.history_ms, 1000)
    net.store.commit()
    net.turn()


def taken_and_unheard(town: Cluster) -> Wire:
    """prod has alice's message, bob has read it, and dev does not know."""
    there, back = town.bridge("dev", "prod", terms=LONGEST)
    back.cut()
    there.destination.held_down = True
    flow(town, "bob@prod", "1")
    town.run()
    there.cut()
    assert texts(town.read("bob@prod")) == ["1"]
    return there


def jump(net: Net, seconds: int) -> None:
    """Its clock is set."""
    net.wall += seconds * 1000


@pytest.mark.parametrize("skew_s", [-3 * DAY_S, 0, 3 * DAY_S])
@pytest.mark.parametrize("late_s", [-1, 0, 1])
def test_what_is_handed_over_again_at_the_last_second_is_a_duplicate(
    make_both: Make, late_s: int, skew_s: int
) -> None:
    """A second later its source has given it up. It makes no difference what the
    destination takes the time for."""
    town = make_both(prod=Settings(history_ms=0))
    dev, prod = town.nets["dev"], town.nets["prod"]
    jump(prod, skew_s)
    there = taken_and_unheard(town)
    town.advance(HOLD_S + late_s)
    clean(prod)
    there.heal()
    town.run()
    assert town.read("bob@prod") == []
    counted = town.described("dev", "prod")["counters"]
    if late_s < 0:
        assert (counted["duplicate"], counted["expired"]) == (1, 0)
        assert told(town.read("alice@dev")) == []
    else:
        assert (counted["duplicate"], counted["expired"]) == (0, 1)
        assert told(town.read("alice@dev")) == [("bounce", "4.4.7")]
    assert dev.wall - prod.wall == -skew_s * 1000


@pytest.mark.parametrize("late_s", [-1, 1])
@pytest.mark.parametrize("whose", ["dev", "prod"])
def test_clocks_may_part_by_a_day_while_a_message_waits(
    make_both: Make, whose: str, late_s: int
) -> None:
    """The source's is set back, so it keeps the message for longer than it should; or
    the destination's is set ahead, so it forgets the id sooner. Beyond that day no
    promise holds, and what holds it back is that the bound is where it is said to be.
    """
    town = make_both(prod=Settings(history_ms=0))
    dev, prod = town.nets["dev"], town.nets["prod"]
    there = taken_and_unheard(town)
    if whose == "dev":
        jump(dev, -(MARGIN_S + late_s + 1))
        town.advance(KNOWN_S + late_s)
    else:
        jump(prod, MARGIN_S + late_s + 1)
        town.advance(HOLD_S - 1)
    there.cut()  # it may have been up for a moment while time went by
    clean(prod)
    there.heal()
    town.run()
    again = texts(town.read("bob@prod"))
    assert again == ([] if late_s < 0 else ["1"])


def test_a_dead_letter_that_is_sent_again_is_a_duplicate_for_a_day_and_a_week(
    make_both: Make,
) -> None:
    """It had arrived, nobody heard of it, and other rules then refused it. Who sends
    such a one again later than that must know that it may be read twice."""
    town = make_both(prod=Settings(history_ms=0))
    there = taken_and_unheard(town)
    nothing = rules_of("dev", "prod", "nobody -> nobody", terms=LONGEST)
    there.reload(nothing)
    there.heal()
    town.run()
    assert told(town.read("alice@dev")) == [("bounce", "5.7.1")]
    there.reload(rules_of("dev", "prod", terms=LONGEST))
    town.advance(KNOWN_S - 1)
    assert sent_again(town) == []
    assert town.described("dev", "prod")["counters"]["duplicate"] == 1


def sent_again(town: Cluster) -> list[str]:
    """What bob gets of it."""
    dev = town.nets["dev"]
    clean(town.nets["prod"])
    town.run()
    dev.hello(OPERATOR)
    assert dev.call(OPERATOR, "replay", "m1") == [1]
    town.run()
    return texts(town.read("bob@prod"))


# --- whatever happens meanwhile ------------------------------------------------------


MOVE = Move(
    *("m1", "alice", "bob@prod", "inform", 4, None, None, None, None, None, None),
    b"d" * 32,
    0,
    "r0",
    10,
    3_600_000,
    1,
)

MEANWHILE = st.lists(
    st.sampled_from(
        ["read", "clean", "broker", "cut", "deny", "allow", "rename", "fill", "again"]
    )
    | st.integers(1, 2 * DAY_S),
    max_size=12,
)


@contextmanager
def once_taken() -> Iterator[tuple[Cluster, Wire]]:
    small = Settings(history_ms=0, mailbox_messages=2, rename_ms=0, forward_ms=0)
    town = Cluster("dev", "prod", settings={"prod": small})
    with closing(town):
        town.people("alice@dev", "bob@prod", "ben@prod")
        there, _ = town.bridge("dev", "prod", terms=LONGEST)
        town.advance(1)
        assert hand_over(there) == "accepted"
        yield town, there


def hand_over(wire: Wire) -> str:
    """What is said of it."""
    end = wire.destination
    assert end.peer is not None
    said = Xfer(1 << 40, 1 << 30, [MOVE], [b"hi"])
    rows = only(end.net.say(end.peer, said, end.key), Accepted).exceptions
    return str(rows[0][1]) if rows else "accepted"


@given(MEANWHILE)
def test_whatever_happens_meanwhile_it_is_a_duplicate_for_as_long_as_it_may_come(
    things: list[str | int],
) -> None:
    with once_taken() as (town, there):
        waited = 0
        for thing in things:
            if isinstance(thing, int):
                if waited + thing >= KNOWN_S:
                    continue
                waited += thing
                town.advance(thing)
            else:
                meanwhile(town, there, thing)
        clean(town.nets["prod"])
        there.connect()
        town.run()
        assert hand_over(there) == "duplicate", f"after {waited} s"
        left = [mail.header.id for mail in town.read("bob@prod")]
        assert left.count("m1@dev") <= 1


def meanwhile(town: Cluster, there: Wire, what: str) -> None:
    prod = town.nets["prod"]
    match what:
        case "read":
            town.read("bob@prod")
        case "clean":
            clean(prod)
        case "broker":
            town.restart("prod")
        case "cut":
            there.cut()
            there.heal()
        case "deny" | "allow":
            prod.hello(OPERATOR)
            rules = "deny * -> *" if what == "deny" else ""
            prod.call(OPERATOR, "grant", "dev", "in", rules)
        case "rename":
            new = "robert" if prod.call(b"bob", "whoami")[0] == "bob" else "bob"
            prod.call(b"bob", "rename", None, new)
        case "fill":
            town.send("ben@prod", "bob")
        case "again":
            assert hand_over(there) == "duplicate"
    town.run()


# --- time to live --------------------------------------------------------------------


@given(
    st.integers(2, 100_000),
    st.integers(0, 200_000),
    st.integers(-DAY_S, DAY_S),
    st.integers(0, 3),
)
def test_time_to_live_never_grows_whatever_clocks_say(
    ttl_s: int, waits_s: int, skew_s: int, hops: int
) -> None:
    """In a row of networks, each with a clock of its own, and a pause before each."""
    names = "abcde"[: hops + 2]
    with closing(Cluster(*names)) as town:
        town.people(f"x@{names[0]}", f"x@{names[-1]}")
        far = Terms(max_hops=8)
        for a, b in pairwise(names):
            town.bridge(a, b, f"*@* -> *@{names[-1]} transit", terms=far)
            jump(town.nets[b], skew_s)
        for wire in town.wires:
            wire.cut(wire.destination)
        town.send(f"x@{names[0]}", f"x@{names[-1]}", ttl_ms=ttl_s * 1000)
        left = ttl_s
        for wire in town.wires:
            town.advance(waits_s)
            left -= waits_s
            wire.heal()
            town.run()
        found = town.fetch(f"x@{names[-1]}")
        assert bool(found) == (left > 0)
        for mail in found:
            expires, wall = mail.header.expires_at, town.nets[names[-1]].wall
            assert expires is not None
            assert 0 < expires - wall <= left * 1000
