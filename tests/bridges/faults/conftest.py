"""Fixtures of the fault tests of bridges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bridges.town import DEV, PROD, Home


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure that no test asserts: wall-clock time is the machine's."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}", end="", flush=True)

    return say


@pytest.fixture
def town(home: Path) -> Home:
    """A home with the networks dev and prod, both served."""
    here = Home(home)
    for name in (DEV, PROD):
        here.start(here.network(name))
    return here
