"""What is not killed outlives many that are, and gets no bigger by it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bridges.town import DEV, PROD, new_home
from tests.faults.crew import rss_bytes
from tests.soak.city import City, Size, city

MIB = 1024 * 1024
SIZE = Size(each=2, rate=200.0)
FIRST, MORE = 20, 40
MOST_MIB = 6.0
"""Of growth by `MORE` takeovers: 150 KiB each would be a leak."""

pytestmark = pytest.mark.chaos


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_40_takeovers_cost_those_who_live_on_neither_memory_nor_descriptors(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    chance = random.Random(1)
    with new_home() as home, city(home, tmp_path, SIZE) as made:
        _take_over(made, FIRST, chance)
        memory, open_files = _used(made)
        _take_over(made, MORE, chance)
        more, now_open = _used(made)
    grown = {name: (more[name] - memory[name]) / MIB for name in memory}
    show(", ".join(f"{name} {size:+.1f} MiB" for name, size in grown.items()))
    assert made.broken == []
    assert max(grown.values()) < MOST_MIB, grown
    assert all(now_open[name] <= open_files[name] + 2 for name in now_open), now_open


def _take_over(made: City, times: int, chance: random.Random) -> None:
    for at in range(times):
        made.kill(f"broker of {(DEV, PROD)[at % 2]}", chance)
    made.check()


def _used(made: City) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes and descriptors of the bridge and of all citizens."""
    pids = {one.name: one.process.pid for one in made.members}
    pids["bridge"] = made.bridge.pid
    return (
        {name: rss_bytes(pid) for name, pid in pids.items()},
        {n: len(list(Path(f"/proc/{pid}/fd").iterdir())) for n, pid in pids.items()},
    )
