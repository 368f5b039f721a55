"""A seat on the bus for each client of the server.

Over stdio there is one client. Over HTTP there may be several, and what was shown to
one must not be acked by the next call of another: each has a desk of its own, known by
its session, or where the protocol has no sessions by the names that it gives itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

from ipcbus.doors.tools.desk import Desk
from ipcbus.errors import BoundExceeded

PROGRAM: Final = "ipcbus mcp"

MOST: Final = 64
"""Clients at once: each has a connection and a thread for each network."""

IDLE_S: Final = 3600.0
"""Seconds without a call after which a client over HTTP counts as gone: most never say
so. Twice what the SDK gives an idle session."""

ONLY: Final = ""
"""The key of the one client of stdio, which is gone when its pipe is."""


class Desks:
    """By the key of their client. Any thread may call any method."""

    def __init__(
        self,
        networks: Sequence[str],
        agent: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks = networks
        self.agent = agent
        self._clock = clock
        self._desks: dict[str, Desk] = {}
        self._used: dict[str, float] = {}
        self._lock = Lock()

    def of(self, key: str, agent: str | None = None) -> Desk:
        """The desk of a client that has just shown itself; a new one is that of `agent`
        if it says who that is. Raises `BoundExceeded`."""
        with self._lock:
            desk = self._desks.get(key)
            if desk is None:
                if len(self._desks) >= MOST:
                    bound = "clients of this MCP server"
                    raise BoundExceeded(bound=bound, value=MOST + 1, limit=MOST)
                desk = self._desks[key] = self._new(agent or self.agent)
            self._used[key] = self._clock()
            return desk

    def _new(self, agent: str | None) -> Desk:
        return Desk(self._networks, agent, program=PROGRAM, create=True)

    def has(self, key: str) -> bool:
        return key in self._desks

    def keep(self) -> None:
        """Hold on to what was shown; to be called each `HOLD_EVERY_S`."""
        for key in self._idle():
            self.leave(key)
        for desk in self._all():
            desk.hold_on()

    def _idle(self) -> list[str]:
        with self._lock:
            since = self._clock() - IDLE_S
            return [k for k, used in self._used.items() if k != ONLY and used < since]

    def _all(self) -> list[Desk]:
        with self._lock:
            return [*self._desks.values()]

    def leave(self, key: str) -> None:
        """The client has gone: what it was shown and has not confirmed comes again."""
        with self._lock:
            desk = self._desks.pop(key, None)
            self._used.pop(key, None)
        if desk is not None:
            desk.close()

    def close(self) -> None:
        """All leave. What matters goes out before anybody is waited for."""
        for desk in self._all():
            desk.give_back()
        for key in [*self._desks]:
            self.leave(key)
