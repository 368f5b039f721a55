"""Random histories of many networks: see `world` and `watched`.

A failure prints its seed and what happened; `tell(seed, things)` does it again, also
with some of it left out, to find what matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ipcbus.store.base import Store
from ipcbus.store.sqlite import SqliteStore
from tests.bridges.world import World

WALKS = 25
THINGS = 100


def tell(seed: int, things: Iterable[int], **stores: Any) -> None:
    world = World(seed, **stores)
    story = [f"seed {seed}: {list(world.nets)}"]
    try:
        for n in things:
            story.append(f"{n}")  # it may be the one that fails
            story[-1] = world.do(n)
        world.end()
        world.close()
    except BaseException:
        print(*story, sep="\n")
        raise


@pytest.mark.parametrize("seed", range(WALKS))
def test_whatever_happens_all_mail_ends_once_and_in_order(seed: int) -> None:
    tell(seed, range(THINGS))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(WALKS, 400))
def test_whatever_happens_for_long_too(seed: int) -> None:
    tell(seed, range(3 * THINGS))


@pytest.mark.parametrize("seed", range(3))
def test_nor_does_it_matter_that_the_store_is_on_a_disk(
    seed: int, tmp_path: Path
) -> None:
    def make(name: str) -> Store:
        path = tmp_path / f"{name}.db"
        return SqliteStore(path, network=name, ballast=None, exclusive=False)

    def reopen(name: str, store: Store) -> Store:
        store.close()
        return make(name)

    def share(name: str, store: Store) -> Store:
        return make(name)

    tell(seed, range(40), make=make, reopen=reopen, share=share)
