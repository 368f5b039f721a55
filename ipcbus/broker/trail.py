"""Runs of the audit trail: what happened to several messages at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MOST_RUN = 8192
"""Messages of one run."""


def runs_of(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of seqs that follow each other without a gap."""
    first = last = 0
    for seq in sorted(seqs):
        if first and seq == last + 1 and seq - first < MOST_RUN:
            last = seq
            continue
        if first:
            yield first, last
        first = last = seq
    if first:
        yield first, last
