"""Ways out that are closed: what would have to take one is refused, and told so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.protocol.messages import Call
from tests.bridges.cluster import Cluster, texts
from tests.broker.harness import OPERATOR, draft


@pytest.fixture
def town() -> Iterator[Cluster]:
    town = Cluster("dev", "prod")
    town.people("alice@dev", "bob@prod")
    town.bridge("dev", "prod", "* -> * replies=3/1h", "* -> #**")
    town.nets["prod"].call(b"bob", "join", "**")
    yield town
    town.close()


def _revoke(town: Cluster, network: str, peer: str) -> None:
    net = town.nets[network]
    net.say(OPERATOR, Call(net.ref(), "revoke", [f"@{peer}"], b""))


def _offered(town: Cluster) -> int:
    return int(town.described("dev", "prod")["counters"]["offered"])


def test_a_topic_leaves_only_where_its_owner_lets_it_out(town: Cluster) -> None:
    town.nets["dev"].call(OPERATOR, "grant", "prod", "out", "deny * -> #secret")
    assert town.send("alice@dev", "#secret", body="1") == "unknown_recipient"
    assert town.send("alice@dev", "#news", body="2") == "accepted"
    town.run()
    assert texts(town.read("bob@prod")) == ["2"]
    assert _offered(town) == 1


def test_nothing_of_a_topic_waits_for_a_bridge_that_has_no_key_any_more(
    town: Cluster,
) -> None:
    _revoke(town, "dev", "prod")
    assert town.send("alice@dev", "#news") == "unknown_recipient"
    assert _offered(town) == 0


def test_nor_does_an_answer_although_its_question_came_that_way(town: Cluster) -> None:
    town.send("alice@dev", "bob@prod", as_="q", kind="request")
    town.run()
    assert texts(town.read("bob@prod")) == ["hi"]
    _revoke(town, "prod", "dev")
    answer = {"kind": "reply", "reply_to": "q@dev"}
    assert town.send("bob@prod", "alice@dev", **answer) == "unknown_recipient"
    assert town.described("prod", "dev")["held"] == 0


@pytest.mark.parametrize(
    ("to", "why"), [("#news", "nobody has joined it"), ("*", "nobody is there")]
)
def test_who_writes_to_nobody_is_told_whether_that_can_be_changed_by_joining(
    to: str, why: str
) -> None:
    town = Cluster("dev")
    town.people("alice@dev")
    ((_, code, facts),) = town.nets["dev"].send(b"alice", draft("m1", to))
    assert code == "unknown_recipient"
    assert why in facts["hint"]
    town.close()
