"""A message that cannot cross, in the middle of others: it bounces, the others flow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridges.faults.neighbours import Pair, ends_well, pair
from tests.bridges.town import DEV, PROD, THERE, Home, bridge, link
from tests.waiting import until

MAX_BODY = 1000
AROUND = 50

pytestmark = pytest.mark.chaos


@pytest.fixture
def people(home: Path) -> Iterator[Pair]:
    """alice@dev and bob@prod, whose network takes bodies of 1,000 bytes."""
    here = Home(home)
    here.start(here.network(DEV))
    here.start(here.network(PROD), settings={"max_body": MAX_BODY})
    with pair(here) as found:
        yield found


@pytest.mark.parametrize(
    ("to", "body", "status", "reason"),
    [
        ("bob@prod", "." * (MAX_BODY + 1), "5.3.4", "1001 bytes"),
        ("nobody@prod", "hello", "5.1.1", "nobody"),
    ],
)
def test_one_that_cannot_be_taken_bounces_and_the_others_flow_in_order(
    people: Pair,
    home: Path,
    tmp_path: Path,
    to: str,
    body: str,
    status: str,
    reason: str,
) -> None:
    here, alice = Home(home), people.alice
    with bridge(here, tmp_path) as spans:
        spans.runs()
        for _ in range(5):
            alice.submit(AROUND)
            alice.poison(body, to)
        alice.submit(AROUND)
        until(lambda: _bounced(people) == 5, "five bounces")
        ends_well(people, (here, DEV), (here, PROD))
        assert {(s, reason in why) for _, s, why in alice.bounces} == {(status, True)}
        assert [id_ for id_, *_ in alice.bounces] == alice.poisoned
        assert spans.state(THERE) == "running"
        counters = link(here, DEV, PROD)["counters"]
    assert counters["refused"] == 5
    assert counters["accepted"] + counters["duplicate"] == 6 * AROUND


def _bounced(people: Pair) -> int:
    people.alice.take()
    return len(people.alice.bounces)
