"""What a broker says to what a bridge hands over, beside that it takes it or not."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.limits import MAX_HOPS
from ipcbus.protocol.messages import FLAG_TRANSIT, Accepted, Move, Return, Settled, Xfer
from tests.bridges.cluster import Cluster
from tests.bridges.conftest import Make
from tests.bridges.wires import End
from tests.broker.harness import only


def move(id_: str, **fields: Any) -> Move:
    """From bob@prod to alice@dev, as the bridge of dev and prod hands it over."""
    plain = Move(
        id=id_,
        sender="bob",
        to="alice@dev",
        kind="inform",
        priority=4,
        thread=None,
        reply_to=None,
        ttl_ms=None,
        hops=None,
        attachments=None,
        meta=None,
        digest=id_.encode().ljust(32, b"-"),
        flags=0,
        rule="r0",
        replies=10,
        replies_ms=3_600_000,
        max_hops=1,
    )
    return plain._replace(**fields)


def hand_over(town: Cluster, *moves: Move) -> list[list[Any]]:
    """The exceptions to what the bridge hands over to dev."""
    _, back = town.bridge("dev", "prod")
    end: End = back.destination
    assert end.peer is not None
    said = Xfer(1 << 40, 1, list(moves), [b"hi"] * len(moves))
    return only(end.net.say(end.peer, said, end.key), Accepted).exceptions


def through(networks: int, max_hops: int) -> Move:
    """A move that came through so many networks before the source."""
    hops = [f"n{n}/{n:016x}" for n in range(networks)]
    far: dict[str, Any] = {"sender": "eve@n0", "flags": FLAG_TRANSIT, "hops": hops}
    return move("m1@n0", **far, max_hops=max_hops)


def test_what_is_put_off_is_told_when_to_come_again_and_what_is_refused_is_not(
    make_town: Make,
) -> None:
    town = make_town(dev=Settings(mailbox_messages=1))
    moves = [move("m1"), move("m2"), move("m3", to="nobody@dev")]
    (late, never) = hand_over(town, *moves)
    assert late[:2] == [1, "deferred"]
    assert late[2]["status"] == "4.2.2"
    assert late[2]["retry_ms"] > 0
    assert never[:2] == [2, "refused"]
    assert "retry_ms" not in never[2]


def test_mail_may_have_come_through_as_many_networks_as_the_protocol_allows(
    town: Cluster,
) -> None:
    assert hand_over(town, through(MAX_HOPS - 1, max_hops=MAX_HOPS)) == []


def test_no_more_than_those_whatever_the_bridge_says_it_may(town: Cluster) -> None:
    ((_, outcome, facts),) = hand_over(town, through(MAX_HOPS, max_hops=99))
    assert (outcome, facts["status"]) == ("refused", "5.4.6")


# --- what becomes of it at the source -------------------------------------------------


@pytest.mark.parametrize("outcome", ["accepted", "deferred", "refused", "released"])
def test_a_receipt_that_is_none_is_told_whatever_became_of_it(
    town: Cluster, outcome: str
) -> None:
    there, _ = town.bridge("dev", "prod")
    there.source.held_down = True
    town.send("alice@dev", "bob@prod", as_="m1")
    town.run()
    end = there.source
    assert end.peer is not None
    why = ("4.2.2", "no room", 1000) if outcome == "deferred" else ("5.7.1", "no", 0)
    for receipts, stale in (([1, 1, 2], [1]), ([7, 1, 1], [7]), ([1, 1, 1], [])):
        said = Return(1 << 40, [[outcome, "r0", *why, receipts]])
        assert only(end.net.say(end.peer, said, end.key), Settled).stale == stale


@pytest.mark.parametrize("hops", [["far"], ["far/"], ["/far", "x/y"], ["far/1", "y"]])
def test_a_hop_without_a_name_or_an_id_is_refused(
    hops: list[str], both: Cluster
) -> None:
    """One bridge of a network that is none of ours cannot stop the broker."""
    crossing = move("m1@far", sender="eve@far", hops=hops, flags=FLAG_TRANSIT)
    [[_, state, facts]] = hand_over(both, crossing._replace(max_hops=3))
    assert (state, facts["status"]) == ("refused", "5.7.1")
