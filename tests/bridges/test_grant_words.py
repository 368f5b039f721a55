"""Grants that cannot be meant: they are refused whole, and the owner is told why."""

from __future__ import annotations

import pytest

from ipcbus.broker.grants import MOST_RULES
from tests.bridges.cluster import Cluster
from tests.broker.harness import OPERATOR

RULES = [f"allow a{n} -> *" for n in range(MOST_RULES + 1)]


def _refusal(town: Cluster, text: str) -> str:
    """Why the grant is refused; afterwards the former one stands."""
    dev = town.nets["dev"]
    dev.call(OPERATOR, "grant", "prod", "out", "deny * -> ben")
    refused = dev.refused(OPERATOR, "grant", "prod", "out", text)
    assert refused.code == "invalid_message"
    assert dev.call(OPERATOR, "grant", "prod", "out", None)[1] == ["deny * -> ben"]
    return str(refused.facts["reason"])


@pytest.fixture(autouse=True)
def _linked(town: Cluster) -> None:
    town.bridge("dev", "prod")


@pytest.mark.parametrize(
    "text", ["permit a -> b", "allow a", "allow a - > b", "allow a -> b c", "allow"]
)
def test_what_is_no_rule_is_told_how_one_is_written(town: Cluster, text: str) -> None:
    assert "allow FROM -> TO" in _refusal(town, f"allow a -> b\n{text}")


@pytest.mark.parametrize("name", ["a?", "[ab]", "a@b@c", "@prod", "a/b", "über"])
def test_what_is_no_name_is_refused_on_either_side(town: Cluster, name: str) -> None:
    for text in (f"deny {name} -> *", f"deny * -> {name}"):
        assert "is no name" in _refusal(town, text)


def test_a_grant_may_have_so_many_rules_and_not_one_more(town: Cluster) -> None:
    full = "\n".join(RULES[:MOST_RULES])
    said = town.nets["dev"].call(OPERATOR, "grant", "prod", "out", full)
    assert said[1] == RULES[:MOST_RULES]
    assert f"at most {MOST_RULES} rules" in _refusal(town, "\n".join(RULES))
