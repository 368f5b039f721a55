"""Doors for old programs, each with a broker: one for the tests of a file that do it
no harm, or one for a test alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.bridges.claude_ipc.old import Door, new_door

NewDoor = Callable[..., Door]


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """Shared: each test has instances of its own names. No limit of requests."""
    with new_door("--rate", "0") as made:
        yield made


@pytest.fixture
def own_door() -> Iterator[NewDoor]:
    """`own_door("--rate", "5", secret="s")`: a door that a test may harm."""
    with ExitStack() as stack:
        yield lambda *options, **more: stack.enter_context(new_door(*options, **more))
