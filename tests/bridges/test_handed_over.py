"""What a bridge hands over at once: each message of it is judged for itself, and by its
own size, way and attachments, however alike they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from ipcbus.broker.batch import OVERHEAD
from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import FLAG_TRANSIT, Accepted, Move, Xfer
from ipcbus.store.memory import MemoryStore
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster
from tests.bridges.conftest import Make
from tests.bridges.test_verdicts import move
from tests.bridges.wires import End
from tests.broker.harness import OPERATOR, only

ALICE, AMY, BOB = "alice@dev", "amy@dev", "bob@prod"
CAPACITY = 30_000
LONGEST = Settings(max_body=10)

Told = dict[int, tuple[str, str]]
"""By position, outcome and status of what was not just accepted."""


@pytest.fixture
def small() -> Iterator[Cluster]:
    """Networks whose stores have room for few messages."""
    town = Cluster(
        "dev", "prod", make=lambda name: MemoryStore(network=name, capacity=CAPACITY)
    )
    town.people(ALICE, BOB)
    yield town
    town.close()


def end_in_dev(town: Cluster) -> End:
    """Of the bridge that brings what prod says."""
    _, back = town.bridge("dev", "prod")
    return back.destination


def hand_over(end: End, *moves: Move, bodies: list[bytes] | None = None) -> Told:
    assert end.peer is not None
    said = Xfer(1 << 40, 1, list(moves), bodies or [b"hi"] * len(moves))
    found = only(end.net.say(end.peer, said, end.key), Accepted).exceptions
    return {at: (outcome, facts.get("status", "")) for at, outcome, facts in found}


def ids(town: Cluster, address: str = ALICE) -> list[str]:
    return [mail.header.id for mail in town.read(address)]


# --- room ----------------------------------------------------------------------------


def test_of_many_small_ones_those_are_put_off_that_have_no_room_with_their_headers(
    small: Cluster,
) -> None:
    moves = [move(f"m{n}") for n in range(100)]
    told = hand_over(end_in_dev(small), *moves)
    assert sum(len(b"hi") for _ in moves) < CAPACITY < len(moves) * OVERHEAD
    assert set(told.values()) == {("deferred", "4.3.1")}
    assert sorted(told) == list(range(100 - len(told), 100))
    assert ids(small) == [f"m{n}@prod" for n in range(100 - len(told))]


@pytest.mark.parametrize(("spare", "told"), [(1, {}), (0, {0: ("deferred", "4.3.1")})])
def test_a_message_may_not_take_the_last_byte_of_the_store(
    small: Cluster, spare: int, told: Told
) -> None:
    end = end_in_dev(small)
    body = b"x" * (end.net.store.room() - OVERHEAD - spare)
    assert hand_over(end, move("m1"), bodies=[body]) == told


# --- size ----------------------------------------------------------------------------


def test_a_body_may_be_as_long_as_the_network_allows_and_no_longer(
    make_town: Make,
) -> None:
    end = end_in_dev(make_town(dev=LONGEST))
    assert hand_over(end, move("m1"), bodies=[b"x" * 10]) == {}
    assert hand_over(end, move("m2"), bodies=[b"x" * 11]) == {0: ("refused", "5.3.4")}


@pytest.mark.parametrize("alike", [True, False])
def test_a_body_too_long_is_refused_among_short_ones_and_they_are_not(
    make_town: Make, alike: bool
) -> None:
    """`alike`: they differ in nothing but id and body."""
    town = make_town(dev=LONGEST)
    moves = [move(f"m{n}", rule="r0" if alike else f"r{n}") for n in range(3)]
    bodies = [b"short", b"much too long", b"short"]
    told = hand_over(end_in_dev(town), *moves, bodies=bodies)
    assert told == {1: ("refused", "5.3.4")}
    assert ids(town) == ["m0@prod", "m2@prod"]


# --- attachments ---------------------------------------------------------------------


def test_an_attachment_that_did_not_come_is_missed_beside_one_that_did(
    town: Cluster,
) -> None:
    end = end_in_dev(town)
    sha = hashlib.sha256(b"data").hexdigest()
    end.ask("blob_begin", sha, 4)
    end.ask("blob_write", sha, 0, body=b"data")
    end.ask("blob_seal", sha)
    moves = [
        move("m0"),
        move("m1", attachments=[["0" * 64, 4, "a", None]]),
        move("m2", attachments=[[sha, 4, "a", None]]),
        move("m3", attachments=[["1" * 64, 4, "a", None]]),
    ]
    missed = ("refused", "5.6.1")
    assert hand_over(end, *moves) == {1: missed, 3: missed}
    assert ids(town) == ["m0@prod", "m2@prod"]


# --- ids and ways --------------------------------------------------------------------


def test_an_id_that_names_its_network_is_not_given_the_name_again(
    town: Cluster,
) -> None:
    assert hand_over(end_in_dev(town), move("m1@prod"), move("m2@prod")) == {}
    assert ids(town) == ["m1@prod", "m2@prod"]


def test_of_two_from_one_sender_the_one_that_came_too_far_is_refused(
    town: Cluster,
) -> None:
    end = end_in_dev(town)
    home = end.net.broker._links.named("prod")
    assert home is not None
    moves = [
        move("m1", hops=hops, flags=FLAG_TRANSIT, max_hops=2)
        for hops in ([home.hop()], [home.hop(), "far/0123456789abcdef"])
    ]
    told = hand_over(end, moves[0], moves[1]._replace(id="m2"))
    assert told == {1: ("refused", "5.4.6")}


def test_no_bound_of_hops_replaces_a_rule_that_lets_it_go_on(town: Cluster) -> None:
    far = move("m1@far", sender="eve@far", hops=["far/0123456789abcdef"], max_hops=8)
    assert hand_over(end_in_dev(town), far) == {0: ("refused", "5.4.6")}


def test_the_id_of_a_far_network_is_all_that_stands_behind_its_name(
    town: Cluster,
) -> None:
    end = end_in_dev(town)
    fields: dict[str, Any] = {"sender": "eve@far", "flags": FLAG_TRANSIT, "max_hops": 2}
    first, again, other = (
        move(f"m{n}@far", hops=[hop], **fields)
        for n, hop in enumerate(["far/a/b", "far/a/b", "far/a/c"])
    )
    assert hand_over(end, first, again) == {}
    assert hand_over(end, other) == {0: ("refused", "5.7.1")}


def test_a_topic_that_came_without_transit_goes_no_farther_though_it_could() -> None:
    town = Cluster(*"abc")
    for name in "abc":
        town.people(f"x@{name}")
        town.nets[name].call(b"x", "join", "news")
    town.bridge("a", "b", "* -> #news")
    town.bridge("b", "c", "*@* -> #news transit", terms=Terms(max_hops=8))
    town.send("x@a", "#news", as_="m1")
    town.run()
    assert ids(town, "x@b") == ["m1@a"]
    assert town.described("b", "c")["queued"] == 0
    assert ids(town, "x@c") == []
    town.close()


# --- answers -------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_a_network_between_lets_no_more_answers_back_than_were_granted(
    at_once: bool,
) -> None:
    """Whatever the network that they come from has let out."""
    town = Cluster(*"abc")
    town.people("x@a", "x@c")
    far = Terms(max_hops=8)
    town.bridge("a", "b", "*@* -> *@c transit replies=1/1h", terms=far)
    _, back = town.bridge("b", "c", "*@* -> *@c transit", terms=far)
    town.send("x@a", "x@c", as_="q")
    town.run()
    assert ids(town, "x@c") == ["q@a"]
    answer = {"sender": "x", "to": "x@a", "kind": "reply", "reply_to": "q@a"}
    first, second = move("r1", **answer), move("r2", **answer)
    end = back.destination
    if at_once:
        assert hand_over(end, first, second) == {1: ("refused", "5.4.6")}
    else:
        assert hand_over(end, first) == {}
        assert hand_over(end, second) == {0: ("refused", "5.4.6")}
    town.run()
    assert ids(town, "x@a") == ["r1@c"]
    town.close()


@pytest.mark.parametrize("topic", ["out", "home"])
def test_what_several_got_may_be_answered_by_a_network_that_is_among_them(
    town: Cluster, topic: str
) -> None:
    """Both topics have two readers; of `home` both are of dev."""
    _, back = town.bridge("dev", "prod", "* -> #out")
    dev = town.nets["dev"]
    town.people("ann@dev")
    for name in ("amy", "ann"):
        dev.call(name.encode(), "join", topic)
    town.nets["prod"].call(b"bob", "join", "out")
    dev.call(OPERATOR, "grant", "prod", "in", "deny * -> *")
    town.send(ALICE, f"#{topic}", as_="n")
    town.run()
    told = hand_over(back.destination, move("r", kind="reply", reply_to="n@dev"))
    assert told == ({} if topic == "out" else {0: ("refused", "5.7.1")})
    assert ids(town) == (["r@prod"] if topic == "out" else [])


# --- loops ---------------------------------------------------------------------------


def test_the_person_is_told_of_a_loop_with_the_very_message_that_was_stopped(
    make_town: Make,
) -> None:
    """Not when somebody of the network sends something next."""
    strict = Settings(guard_pair=2, guard_repeats=0, guard_human="amy")
    town = make_town(dev=strict)
    end = end_in_dev(town)
    for at in range(20):
        if told := hand_over(end, move(f"m{at}")):
            break
        assert town.send(ALICE, BOB) == "accepted"
    assert told == {0: ("refused", "5.7.28")}
    (notice,) = town.read(AMY)
    assert notice.header.sender == "ipcbus"
    assert "answered each other 2 times" in notice.text
