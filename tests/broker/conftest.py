"""Fixtures of the core: a broker over the store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.harness import Harness


@pytest.fixture
def bus() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.broker.check_invariants()
    harness.close()
