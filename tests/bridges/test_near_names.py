"""Who wrote to a name that is not there is told which names are near, if it may know
of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.protocol.pieces import pack_map, unpack_meta
from tests.bridges.cluster import Cluster
from tests.broker.harness import OPERATOR


@pytest.fixture
def town() -> Iterator[Cluster]:
    town = Cluster("dev", "prod")
    town.people("alice@dev", "reviewer@prod")
    there, _ = town.bridge("dev", "prod")
    rows = [["reviewer", ["*"], []]]
    there.source.ask("publish", body=pack_map(rows))
    yield town
    town.close()


def _refusal(town: Cluster, to: str) -> tuple[str, str]:
    """Status and reason of the bounce."""
    town.send("alice@dev", to)
    town.run()
    (bounce,) = town.read("alice@dev")
    facts = unpack_meta(bounce.header.meta).data
    return str(facts["status"]), str(facts["reason"])


def test_a_name_that_is_not_there_is_told_with_those_that_are_near(
    town: Cluster,
) -> None:
    status, reason = _refusal(town, "revewer@prod")
    assert status == "5.1.1"
    assert reason.endswith("; near names: reviewer@prod")
    status, reason = _refusal(town, "zzz@prod")
    assert (status, "near names" in reason) == ("5.1.1", False)


def test_a_name_that_is_there_and_may_not_be_written_to_has_no_near_ones(
    town: Cluster,
) -> None:
    town.nets["prod"].call(OPERATOR, "grant", "dev", "in", "deny * -> reviewer")
    status, reason = _refusal(town, "reviewer@prod")
    assert (status, "near names" in reason) == ("5.7.1", False)
