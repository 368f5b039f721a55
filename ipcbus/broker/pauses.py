"""Pauses: a person stops deliveries, of the whole network or of single agents.

What is sent waits. Leases that are out stay good, and what was shown can be settled.
The two kinds do not mix: to resume the network leaves a paused agent paused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipcbus.store.base import Registry

NETWORK: Final = 0
"""The number that stands for all agents, and all links."""


class Pauses:
    """Attributes:
    numbers: of those that are paused; nothing that the store does not have.
    """

    def __init__(self, registry: Registry, numbers: Iterable[int]) -> None:
        self._registry = registry
        self.numbers = set(numbers)

    def hold(self, number: int) -> bool:
        """Whether nothing is delivered from this mailbox now."""
        return bool(self.numbers) and (
            number in self.numbers or NETWORK in self.numbers
        )

    def put(self, number: int, *, paused: bool) -> None:
        self._registry.put_pause(number, int(paused))
        if paused:
            self.numbers.add(number)
        else:
            self.numbers.discard(number)
