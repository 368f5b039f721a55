"""What a link makes of a message is one that a broker takes: else it would cut the
link, get it again, and cut the link again."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.protocol import limits
from ipcbus.protocol.crossing import read_move
from ipcbus.protocol.messages import Header, Meta
from ipcbus.protocol.pieces import check_meta, pack_meta, unpack_meta
from ipcbus_bridges import rule
from ipcbus_bridges.moving import Moving
from ipcbus_bridges.rulefile import parse
from tests.bridges.cluster import Cluster

RULES = parse(
    f"""
rules:
- id: masked
  allow: '* -> *'
  redact: {{mask: [key], with: {"x" * 64}}}
""".encode(),
    "rules.yaml",
    "dev",
    "prod",
)

GROWN: list[dict[str, Any]] = [
    {"headers": {"a": "key " * 250}},
    {"headers": {f"a{n}": "key " * 40 for n in range(limits.MAX_HEADERS)}},
    {"data": [[1] * 20_000, [[]] * 20_000, ["key"] * 490]},
    {"data": {"a": "key " * 15_000}},
]


@pytest.mark.parametrize("said", GROWN, ids=["header", "headers", "bytes", "text"])
def test_a_message_with_much_to_hide_crosses_and_hides_it(
    town: Cluster, said: dict[str, Any]
) -> None:
    meta = pack_meta(Meta(**said))
    check_meta(meta)
    there = town.link("dev", "prod", RULES)
    town.run()
    town.send("alice@dev", "bob@prod", meta=meta)
    town.send("alice@dev", "bob@prod")
    town.run()
    first, second = town.read("bob@prod")
    assert "key" not in repr(unpack_meta(first.header.meta))
    assert second.header.id == "m2@dev"
    assert there.state == "running"


def test_a_clock_that_was_put_back_gives_no_message_more_than_its_time() -> None:
    assert rule.MAX_TTL_MS == limits.MAX_TTL_MS
    link = RULES.link("dev", "prod")
    for late_ms, ttl_ms in ((0, rule.MAX_TTL_MS), (3_600_000, rule.MAX_TTL_MS)):
        header = _header(expires_at=10**12 + rule.MAX_TTL_MS)
        decision = Moving().decide(link, header, b"")
        item = Moving().item(
            link, 1, 1, ("a", "b", 4), header, b"", decision, 10**12 - late_ms
        )
        assert item.move.ttl_ms == ttl_ms
        assert read_move(list(item.move)) == item.move


def _header(**fields: Any) -> Any:
    usual = ("m1", "alice", "bob@prod", "inform", 4, 10**12, None, None, None)
    return Header(*usual, "local", None, None, None, b"d" * 32, 0)._replace(**fields)
