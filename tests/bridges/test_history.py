"""The past with an agent of another network, who is known by its full name alone."""

from __future__ import annotations

import pytest

from tests.bridges.cluster import Cluster

ALICE, BOB, BEN = "alice@dev", "bob@prod", "ben@prod"


@pytest.fixture
def talked(both: Cluster) -> Cluster:
    both.bridge("dev", "prod")
    for sender, to, id_ in ((ALICE, BOB, "1"), (BOB, ALICE, "2"), (BEN, ALICE, "3")):
        both.send(sender, to, as_=id_)
        both.run()
        both.read(to)
    return both


def past(town: Cluster, other: str, limit: int = 10) -> tuple[list[str], bool]:
    """The ids that alice finds, newest first, and whether there are more."""
    rows, _, more = town.nets["dev"].call(
        b"alice", "history", limit, None, other, None, 100
    )
    return [header.id for _, _, _, header in rows], more


def test_what_was_exchanged_with_one_of_them_is_found(talked: Cluster) -> None:
    assert past(talked, "bob@prod") == (["2@prod", "1"], False)
    assert past(talked, "Ben@Prod") == (["3@prod"], False)


def test_it_comes_in_pages(talked: Cluster) -> None:
    assert past(talked, "bob@prod", limit=1) == (["2@prod"], True)


def test_with_who_never_wrote_there_is_none(talked: Cluster) -> None:
    assert past(talked, "amy@prod") == ([], False)
    assert past(talked, "bob@nowhere") == ([], False)
