"""How fast an agent may send: a token bucket for each."""

from __future__ import annotations

from ipcbus.broker.settings import Settings
from ipcbus.errors import BoundExceeded
from ipcbus.store.records import Agent

BURST_S = 10
"""Seconds of its rate that an agent may save up."""


class Rates:
    """Buckets of the agents that have a rate; none for those that have not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._buckets: dict[int, tuple[float, float]] = {}
        """Agent -> (tokens left, when that was)."""

    def check(self, agent: Agent, mono: float) -> None:
        """Take one token of an agent that has a rate. Raises `BoundExceeded`."""
        rate = agent.rate or self._settings.rate
        full = float(rate * BURST_S)
        tokens, then = self._buckets.get(agent.number, (full, mono))
        tokens = min(full, tokens + (mono - then) * rate)
        if tokens < 1:
            self._buckets[agent.number] = (tokens, mono)
            raise BoundExceeded(
                bound="rate", value="one more message", limit=f"{rate} a second"
            )
        self._buckets[agent.number] = (tokens - 1, mono)

    def give_back(self, agent: Agent, count: int) -> None:
        """So many were here before: what is sent again is no second message."""
        if agent.number in self._buckets:
            tokens, then = self._buckets[agent.number]
            self._buckets[agent.number] = (tokens + count, then)
