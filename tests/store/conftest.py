"""A disk that can fail, for whoever asks for one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.store.disk import FaultyDisk

_names = (f"faulty-{number}" for number in itertools.count())


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk(next(_names))
    yield disk
    disk.heal()
    disk.unregister()
