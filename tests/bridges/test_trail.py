"""The audit trail of both networks tells the whole: its rows make up the counters, and
each message has one end there."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

import pytest

from ipcbus.broker.returns import LINK_ENDINGS
from tests.bridges.cluster import Cluster, texts
from tests.bridges.telling import flow, told
from tests.bridges.world import World
from tests.broker.harness import OPERATOR

AT, WAY, PEER, COUNT, ID, SENDER, TO, RULE, VERDICT, STATUS, REASON = range(1, 12)
"""Columns of a row of the trail, after its number."""

WALKS: Final = 12
THINGS: Final = 80


def trail(town: Cluster, network: str) -> list[Any]:
    rows: list[Any] = []
    net = town.nets[network]
    net.hello(OPERATOR)
    while found := net.call(OPERATOR, "audit", rows[-1][0] if rows else 0, 1000)[0]:
        rows += found
    return rows


@pytest.mark.parametrize("seed", range(1000, 1000 + WALKS))
def test_the_trail_makes_up_the_counters_whatever_has_happened(seed: int) -> None:
    world = World(seed)
    for n in range(THINGS):
        world.do(n)
    world.end()
    for network, net in world.nets.items():
        said: Counter[tuple[str, str, str]] = Counter()
        for row in trail(world, network):
            said[row[WAY], row[PEER], row[VERDICT]] += row[COUNT]
        for link in net.call(OPERATOR, "links"):
            counted = link["counters"]
            for ending in LINK_ENDINGS:
                if ending != "expired":  # no bridge had it, so it did not cross
                    told_ = said["out", link["peer"], ending]
                    assert counted[ending] == told_, (seed, network, ending)
            came, peer = link["came"], link["peer"]
            for ending in ("accepted", "refused"):
                assert came[ending] == said["in", peer, ending], (seed, network)
    world.close()


def test_each_message_has_one_end_in_the_trail_and_its_rule(both: Cluster) -> None:
    both.bridge("dev", "prod", "alice -> bob", "amy -> *", "!* -> ben")
    flow(both, "bob@prod", "1", "2")
    flow(both, "ben@prod", "3")
    flow(both, "nobody@prod", "4", sender="amy@dev")
    flow(both, "ben@prod", "5", sender="amy@dev")
    both.run()
    assert texts(both.read("bob@prod")) == ["1", "2"]
    ends: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for n in range(1, 6):
        net = both.nets["dev"]
        steps, _ = net.call(OPERATOR, "trace", f"m{n}")
        for step in steps:
            if step[1]:
                ends[f"m{n}"].append((step[5], step[6], step[7]))
    assert ends == {
        "m1": [("r0", "accepted", "")],
        "m2": [("r0", "accepted", "")],
        "m3": [("r2", "refused", "5.7.1")],
        "m4": [("r1", "refused", "5.1.1")],
        "m5": [("r2", "refused", "5.7.1")],
    }
    bounced = sorted(told(both.read("amy@dev")))
    assert bounced == [("bounce", "5.1.1"), ("bounce", "5.7.1")]


def test_the_trail_has_no_word_of_what_was_written(both: Cluster) -> None:
    both.bridge("dev", "prod", "alice -> bob")
    flow(both, "bob@prod", "the-secret-word")
    flow(both, "ben@prod", "the-secret-word")
    both.run()
    rows = [*trail(both, "dev"), *trail(both, "prod")]
    assert len(rows) >= 3
    assert "the-secret-word" not in repr(rows)
