"""Fixtures of the fault tests of bridges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bridges.town import DEV, PROD, Home


@pytest.fixture
def town(home: Path) -> Home:
    """A home with the networks dev and prod, both served."""
    here = Home(home)
    for name in (DEV, PROD):
        here.start(here.network(name))
    return here
