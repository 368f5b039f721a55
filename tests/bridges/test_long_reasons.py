"""What a foreign end or a broker gives as a reason may be as long as it likes, and no
text at all; what is told on is short, and text."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ipcbus import links
from ipcbus.protocol.pieces import load, pack_map
from ipcbus_bridges.actions import Report
from ipcbus_bridges.groups import Groups
from ipcbus_bridges.link import Link
from ipcbus_bridges.moving import Moving
from ipcbus_bridges.rules import Rules, Terms
from ipcbus_bridges.wording import MOST_REASON, MOST_STATUS, told
from tests.bridges.cluster import Cluster

LONG = "no room " * 12_500
ODD = os.fsdecode(b"/srv/\xff: is no folder")


def _link() -> Link:
    rules = Rules.default("dev", "prod").link("dev", "prod")
    return Link(rules, Terms(), Moving())


@pytest.mark.parametrize("reason", [LONG, ODD], ids=["long", "odd"])
def test_a_state_has_a_short_reason_that_can_be_reported(reason: str) -> None:
    link = _link()
    link.down("prod", reason, 1)
    link.config_error(reason)
    report = next(done for done in link.actions if isinstance(done, Report))
    assert 0 < len(report.said["reason"]) <= MOST_REASON
    assert load(pack_map(link.status(1)))["problem"] == told(reason)


def test_a_refusal_of_the_lead_has_one_too() -> None:
    link = _link()
    link.refused("config_error", LONG, 1)
    assert len(link.why) == MOST_REASON


def test_a_group_of_a_settlement_has_short_texts() -> None:
    groups = Groups()
    groups.add("refused", "r", "5." * 100_000, ODD * 10_000, 0, 1, 1)
    (((_, _, status, reason, _, _),),) = groups.parts()
    assert len(status) == MOST_STATUS
    assert len(reason) == MOST_REASON
    assert reason.startswith("/srv/\\udcff: is")


@pytest.mark.parametrize("outcome", ["refused", "deferred"])
def test_a_verdict_with_a_reason_without_end_is_short_when_it_comes_home(
    town: Cluster, outcome: str
) -> None:
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    town.send("alice@dev", "bob@prod")
    town.run()
    facts: dict[str, Any] = {"status": "5.6.0", "reason": LONG}
    there.told(
        there.destination, links.Verdicts(_under_way(there.link), [[0, outcome, facts]])
    )
    there.act()
    town.run()
    if outcome == "deferred":
        assert (there.state, len(there.link.why)) == ("blocked", MOST_REASON)
    else:
        (bounce,) = town.read("alice@dev")
        assert "no room" in bounce.text
        assert len(bounce.text) < 2 * MOST_REASON


def _under_way(link: Link) -> int:
    (ref,) = link._streams._flying
    return ref
