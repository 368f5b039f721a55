"""Waiting for a condition, with a bound: the one place in which tests sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

BOUND_S: Final = 30.0
"""Seconds that anything may take; far more than it does."""

STEP_S: Final = 0.003
"""Seconds between two looks."""


def until(
    condition: Callable[[], bool], what: str = "it", bound: float = BOUND_S
) -> None:
    """Wait until a condition holds. `what` is to come true is said if it does not."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, f"not within {bound} s: {what}"
        time.sleep(STEP_S)


async def until_async(
    condition: Callable[[], bool | Awaitable[bool]],
    what: str = "it",
    bound: float = BOUND_S,
) -> None:
    """The same while a loop goes on; the condition may be a coroutine of it."""
    deadline = time.monotonic() + bound
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline, f"not within {bound} s: {what}"
        await asyncio.sleep(STEP_S)
