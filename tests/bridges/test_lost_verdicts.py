"""Verdicts that are lost, come twice, in another order or for nothing; and one message
in the midst of others that cannot cross."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.codec import decode_broker, encode
from ipcbus.protocol.messages import Accepted, Meta, Settled
from ipcbus.protocol.pieces import pack_meta
from ipcbus_bridges import link as link_module
from tests.bridges.cluster import Cluster, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow, told
from tests.bridges.wires import End, Wire

NUMBERS = [str(n) for n in range(20)]


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that takes a message only when the last one is done with."""
    monkeypatch.setattr(link_module, "CREDIT", 1)


def counters(town: Cluster) -> dict[str, int]:
    found: dict[str, int] = town.described("dev", "prod")["counters"]
    return found


@pytest.mark.usefixtures("one_at_a_time")
def test_a_window_of_one_is_not_stuck_when_every_verdict_is_lost(both: Cluster) -> None:
    """Each message is handed over twice, for nobody heard of the first time."""
    there, _ = both.bridge("dev", "prod")
    flow(both, "bob@prod", *NUMBERS)
    for _ in NUMBERS:
        there.destination.held_down = True
        both.run()
        assert both.described("dev", "prod")["in_flight"] <= 1
        there.cut(there.destination)
        there.heal()
        both.run()
    assert texts(both.read("bob@prod")) == NUMBERS
    assert both.read("alice@dev") == []
    assert counters(both)["accepted"] + counters(both)["duplicate"] == len(NUMBERS)


@pytest.mark.usefixtures("one_at_a_time")
def test_what_arrived_is_known_each_time_that_its_verdict_is_lost(
    both: Cluster,
) -> None:
    there, _ = both.bridge("dev", "prod")
    for n in NUMBERS[:5]:
        there.destination.held_down = True
        flow(both, "bob@prod", n)
        both.run()
        there.cut(there.destination)
        there.heal()
        both.run()
    assert texts(both.read("bob@prod")) == NUMBERS[:5]
    assert (counters(both)["accepted"], counters(both)["duplicate"]) == (0, 5)


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize("frames", range(6))
def test_nor_is_it_when_the_source_is_lost_at_any_frame(
    town: Cluster, frames: int
) -> None:
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", "1", "2", "3")
    for _ in range(frames):
        town.step()
    there.source.lose("cut")
    town.run()
    town.pass_time(2)
    assert texts(town.read("bob@prod")) == ["1", "2", "3"]
    assert town.described("dev", "prod")["in_flight"] == 0


# --- of a destination that errs ------------------------------------------------------


def said(end: End, kind: type[Accepted] | type[Settled]) -> list[int]:
    """Places of these among the frames on their way to the link."""
    return [
        at for at, frames in enumerate(end.down) if isinstance(decode(frames), kind)
    ]


def decode(frames: Any) -> Any:
    return decode_broker(*frames)


def two_batches(town: Cluster) -> Wire:
    """Two hand-overs whose verdicts are on their way: to bob, and to ben."""
    there, _ = town.bridge("dev", "prod")
    there.destination.held_down = True
    for to, body in (("bob", "1"), ("ben", "a")):
        flow(town, f"{to}@prod", body)
        town.run()
    flow(town, "bob@prod", "2")
    flow(town, "ben@prod", "b")
    town.run()
    assert len(said(there.destination, Accepted)) == 2
    return there


def all_arrives_once(town: Cluster, there: Wire) -> None:
    there.destination.held_down = there.source.held_down = False
    town.run()
    town.pass_time(2)
    assert there.state == "running"
    assert texts(town.read("bob@prod")) == ["1", "2"]
    assert texts(town.read("ben@prod")) == ["a", "b"]
    assert counters(town)["accepted"] == 4
    assert town.described("dev", "prod")["in_flight"] == 0
    assert town.read("alice@dev") == []


def test_verdicts_may_come_in_any_order(both: Cluster) -> None:
    there = two_batches(both)
    there.destination.down.reverse()
    all_arrives_once(both, there)


def test_a_verdict_that_comes_twice_counts_once(both: Cluster) -> None:
    there = two_batches(both)
    down = there.destination.down
    for at in said(there.destination, Accepted):
        down.append(down[at])
    all_arrives_once(both, there)


@pytest.mark.parametrize("ref", [0, 999_999, 1 << 53])
def test_a_verdict_on_nothing_changes_nothing(both: Cluster, ref: int) -> None:
    there = two_batches(both)
    rows: list[list[Any]] = [[0, "refused", {"status": "5.7.1", "reason": "no"}]]
    there.destination.down.appendleft(encode(Accepted(ref, rows)))
    there.destination.down.append(encode(Accepted(ref, rows)))
    all_arrives_once(both, there)


def test_a_verdict_on_a_message_that_was_not_in_its_batch_changes_nothing(
    both: Cluster,
) -> None:
    there = two_batches(both)
    down = there.destination.down
    for at in said(there.destination, Accepted):
        row: list[Any] = [7, "refused", {"status": "5.7.1", "reason": "no"}]
        down[at] = encode(decode(down[at])._replace(exceptions=[row]))
    all_arrives_once(both, there)


def test_an_answer_to_a_settlement_that_comes_twice_changes_nothing(
    both: Cluster,
) -> None:
    there = two_batches(both)
    there.source.held_down = True
    there.destination.held_down = False
    both.run()
    down = there.source.down
    assert said(there.source, Settled)
    for at in said(there.source, Settled):
        down.append(down[at])
    down.reverse()
    all_arrives_once(both, there)


# --- one that cannot cross -----------------------------------------------------------

POISON: dict[str, tuple[str, dict[str, Any]]] = {
    "too big for the destination": ("5.3.4", {"body": "x" * 2001}),
    "too big for its rule": ("5.3.4", {"body": "x" * 1001}),
    "denied by a label": ("5.7.1", {"meta": pack_meta(Meta(labels=["secret"]))}),
    "of a kind that stays at home": ("5.7.1", {"kind": "control"}),
}


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("together", [True, False])
def test_one_that_cannot_cross_bounces_and_its_own_stream_goes_on(
    make_both: Make, poison: str, together: bool
) -> None:
    """In the midst of others of its sender to the same receiver: in one batch with
    them, or one by one."""
    town = make_both(prod=Settings(max_body=2000))
    small = "max_bytes=1000B" if poison == "too big for its rule" else ""
    rules = f"* -> * kinds=inform,control {small}", "!* -> * labels=secret"
    there, _ = town.bridge("dev", "prod", *rules)
    status, fields = POISON[poison]
    if together:
        there.cut()
    for n in range(5):
        flow(town, "bob@prod", f"{n}")
        flow(town, "ben@prod", f"{n}")
        if n == 2:
            town.send("alice@dev", "bob@prod", as_="poison", **fields)
        if not together:
            town.run()
    there.heal()
    town.run()
    town.pass_time(2)
    assert texts(town.read("bob@prod")) == [*"01234"]
    assert texts(town.read("ben@prod")) == [*"01234"]
    assert told(town.read("alice@dev")) == [("bounce", status)]
    assert (counters(town)["accepted"], counters(town)["refused"]) == (10, 1)
    assert there.state == "running"
