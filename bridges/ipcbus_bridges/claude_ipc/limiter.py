"""How often each instance may ask. PURE."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

WINDOW_S: Final = 60.0

MOST_NAMES: Final = 20_000
"""Names that are remembered: as many as a network may hold."""


class Limiter:
    """At most `most` requests of one name in any `WINDOW_S` seconds; 0 for no limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, name: str, now: float) -> bool:
        """Whether one more is within the limit; if so it is counted."""
        if not self._most:
            return True
        times = self._times.setdefault(name, deque())
        self._times.move_to_end(name)
        if len(self._times) > MOST_NAMES:
            self._times.popitem(last=False)
        while times and now - times[0] >= WINDOW_S:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
