"""Runs of the audit trail: all that they are made of, in as few rows as may be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker.trail import MOST_RUN, runs_of

SEQS = st.sets(st.integers(1, 40)).map(list)


@given(SEQS)
def test_runs_are_of_what_follows_without_a_gap_and_of_nothing_else(
    seqs: list[int],
) -> None:
    runs = list(runs_of(seqs))
    assert [seq for a, b in runs for seq in range(a, b + 1)] == sorted(seqs)
    for (_, last), (first, _) in pairwise(runs):
        assert first > last + 1, "these could have been one run"


@pytest.mark.parametrize("first", [1, 5 * MOST_RUN])
@pytest.mark.parametrize("more", [0, 1, MOST_RUN + 1])
def test_no_run_is_longer_than_one_may_be(first: int, more: int) -> None:
    count = MOST_RUN + more
    runs = list(runs_of(range(first, first + count)))
    sizes = [last - begin + 1 for begin, last in runs]
    assert sum(sizes) == count
    assert (
        sizes
        == {
            0: [MOST_RUN],
            1: [MOST_RUN, 1],
            MOST_RUN + 1: [MOST_RUN, MOST_RUN, 1],
        }[more]
    )
