"""What is known of one message is of that message alone, and each row counts right."""

from __future__ import annotations

from tests.bridges.cluster import Cluster
from tests.bridges.telling import flow
from tests.broker.harness import OPERATOR

COUNT, VERDICT = 4, 9
"""Columns of the audit trail."""


def test_a_refusal_is_one_row_of_one_message_and_of_no_other(town: Cluster) -> None:
    """Not even of the very first one that the network has taken."""
    town.bridge("dev", "prod")
    flow(town, "bob@prod", "1")
    flow(town, "nobody@prod", "2")
    town.run()
    (mail,) = town.read("bob@prod")
    assert mail.receipt[0] == 1
    prod = town.nets["prod"]
    steps, state = prod.call(OPERATOR, "trace", mail.header.id)
    assert [step[6] for step in steps] == ["accepted", "accepted"]
    assert state is not None
    rows = prod.call(OPERATOR, "audit", 0, 10)[0]
    assert [(row[VERDICT], row[COUNT]) for row in rows] == [
        ("accepted", 1),
        ("refused", 1),
    ]
