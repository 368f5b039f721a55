"""A failing walk made short: things are left out as long as it fails in the same way.

After Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002):
first halves are left out, then quarters, at last single ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.sim.walks import Walk, walk

MOST_TRIES: Final = 400
"""Walks that are spent on one failure."""


def shrink(found: Walk, most: int = MOST_TRIES) -> Walk:
    """The shortest walk found that fails as `found` does."""
    assert found.failure is not None
    best, size, tries = found, (len(found.things) + 1) // 2, 0
    while size and tries < most:
        at, shorter = 0, False
        while at < len(best.things) and tries < most:
            tries += 1
            less = walk(best.seed, _without(best.things, at, at + size))
            if less.failure is not None and less.failure.kind == found.failure.kind:
                best, shorter = less, True
            else:
                at += size
        if size > 1 or not shorter:
            size //= 2
    return best


def _without(things: Sequence[int], start: int, end: int) -> list[int]:
    return [*things[:start], *things[end:]]
