"""A clock that stands still until somebody moves it."""

from __future__ import annotations

from typing import Final

from ipcbus.broker.events import Now

START_MS: Final = 1_700_000_000_000


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self, mono: float = 100.0, wall: int = START_MS) -> None:
        self.mono = mono
        self.wall = wall

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += round(seconds * 1000)

    def now(self) -> Now:
        return Now(self.mono, self.wall)
