"""Of very many rules on a command line a bridge tells as many as a report may hold."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker import grants
from ipcbus.broker import links as broker_links
from ipcbus.doors.cli import bridge_rules
from ipcbus.protocol.limits import MAX_META
from ipcbus.protocol.pieces import pack_map
from ipcbus_bridges import presence
from ipcbus_bridges.runner import Bridge
from tests.bridges.cluster import Cluster

MANY = [f"a{n}@dev -> b@prod labels={'x' * 64},{'y' * 64}" for n in range(600)]


def _said(allow: list[str], deny: list[str]) -> dict[str, Any]:
    bridge = Bridge(
        "dev", "prod", None, allow, deny, one_way=True, start=False, say=print
    )
    return bridge._said(bridge.rules)


def test_a_broker_takes_the_reports_of_a_bridge_with_very_many_rules(
    town: Cluster,
) -> None:
    said = _said(MANY, ["* -> eve"])
    there, _ = town.bridge("dev", "prod")
    there.link.moving.rules_said = said
    town.advance(2)
    assert (there.state, there.link.why) == ("running", "")
    out = town.described("dev", "prod")["out"]
    assert len(pack_map(out)) < MAX_META
    rules = out["rules"]
    assert rules["deny"] == ["* -> eve"]
    assert rules["allow"] == MANY[: len(rules["allow"])]
    assert 0 < rules["untold"] == len(MANY) - len(rules["allow"])


def test_who_asks_for_the_rules_of_the_bridge_is_told_that_some_are_not_known() -> None:
    report = {"rules": {**_said(MANY, []), "revision": "0" * 12}}
    going = bridge_rules.running("dev", "prod", report)
    assert going is not None
    assert "rules of its command line were too many to be told here" in going.note


def test_a_rule_that_is_too_long_alone_is_not_told() -> None:
    long = f"a@dev -> b@prod labels={'x' * 40_000}"
    said = _said([long, "c@dev -> d@prod"], [])
    assert (said["allow"], said["untold"]) == ([], 2)


def test_a_few_are_told_all() -> None:
    said = _said(MANY[:3], ["* -> eve"])
    assert (said["allow"], said["deny"]) == (MANY[:3], ["* -> eve"])
    assert "untold" not in said


# --- who is shown --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "rules", "shown"),
    [(1200, 1, presence.MOST_TOLD), (1000, 150, 200), (5, 201, 0)],
    ids=["agents", "bytes", "lines"],
)
def test_of_very_many_agents_as_many_are_shown_as_the_source_takes(
    town: Cluster, names: int, rules: int, shown: int
) -> None:
    allows = [f"team{n}.* -> *@prod expose" for n in range(rules)]
    there, _ = town.bridge("dev", "prod", *allows)
    rows = presence.exposed_rows(there.one_way, [f"agent{n}" for n in range(names)])
    assert shown <= len(rows) <= presence.MOST_TOLD
    assert len(rows) == shown or rules == 150
    body = pack_map(rows)
    assert len(body) < presence.MOST_BYTES
    assert there.source.ask("publish", body=body)[0] == [len(rows)]


def test_the_bounds_of_who_is_shown_are_those_of_a_broker() -> None:
    assert presence.MOST_TOLD == broker_links.MOST_PUBLISHED
    assert presence.MOST_LINES == grants.MOST_RULES
