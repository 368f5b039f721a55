"""What a broker does when nobody asks for anything: indexing, purging, backups.

All of it in small steps between turns. A step is measured, and the next one is made
larger or smaller, so that whoever comes next waits a few milliseconds at most.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from typing import Final

from ipcbus.broker.events import BackedUp, Backup, Event, Now
from ipcbus.errors import IpcbusError
from ipcbus.protocol.limits import MIB
from ipcbus.store.base import Store

QUICK_S: Final = 0.002
SLOW_S: Final = 0.004
"""A step that took less than QUICK_S may be twice as large the next time, one that
took more than SLOW_S shall be half as large. Its sync does not count: that takes as
long for one row, and on a slow disk steps would be so small that a network in steady
use never got them done."""

FEWEST: Final = 32
MOST: Final = 4096
"""Rows of a step."""

REST_S: Final = 1.0
"""Seconds after which what a turn has stored is indexed."""

CALM_S: Final = 0.05
"""Seconds without a turn after which nobody is being served. A client that asks one
thing at a time leaves gaps of a millisecond, and would meet a step in each of them."""

QUIET_S: Final = 60.0
"""Seconds between two looks for what has grown old when nothing happens."""

BUSY_SHARE: Final = 20
TIGHT_SHARE: Final = 2
"""While there are messages to serve, a step may take one part in so many of the time;
more when it has been behind for LATE_S, or the store has little room, because purging
makes some."""

LATE_S: Final = 60.0
"""Seconds for which a flood goes before search and purging: with them it would end
sooner, and after it nobody waits for them. What goes on for longer is steady use, and
in that they must keep up."""

TIGHT_ROOM: Final = 64 * MIB

GARBAGE: Final = 50_000
"""Objects made and not freed after which an idle moment is used to collect cycles;
the collector is off in the loop."""


class Upkeep:
    """When to do the next step of `store.archive.maintain`, and how large."""

    def __init__(
        self,
        store: Store,
        history_ms: int,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._mono = mono
        self._history_ms = history_ms
        self._limit = FEWEST
        self._at = 0.0
        self._busy_at = 0.0
        self._turn_at = -math.inf
        self._behind_at: float | None = None

    def wait(self, mono: float) -> float:
        """Seconds until a loop that has nothing else to do should call `step`."""
        return max(0.0, max(self._at, self._turn_at + CALM_S) - mono)

    def touch(self, mono: float) -> None:
        """A turn has happened."""
        self._turn_at = mono
        self._at = min(self._at, mono + REST_S)
        self._busy_at = min(self._busy_at, mono + REST_S)

    def step(self, now: Now) -> None:
        """Do a step if it is time. Raises what the store raises."""
        calm = now.mono - self._turn_at >= CALM_S
        if now.mono < (self._at if calm else self._busy_at):
            return
        began = self._mono()
        self._store.begin()
        more = self._store.archive.maintain(now.wall, self._history_ms, self._limit)
        self._fit(self._mono() - began)
        self._store.commit()
        ended = self._mono()
        took = ended - began
        self._at = ended + (took if more else QUIET_S)
        if not more:
            self._behind_at = None
        elif self._behind_at is None:
            self._behind_at = ended
        late = self._behind_at is not None and ended - self._behind_at > LATE_S
        hurry = late or self._store.room() < TIGHT_ROOM
        share = TIGHT_SHARE if hurry else BUSY_SHARE
        self._busy_at = max(self._at, ended + took * share)
        if calm and gc.get_count()[0] > GARBAGE:
            gc.collect()

    def _fit(self, took: float) -> None:
        if took > SLOW_S:
            self._limit = max(FEWEST, self._limit // 2)
        elif took < QUICK_S:
            self._limit = min(MOST, self._limit * 2)


class Backups:
    """Backups that are being made, a step of each in every turn."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: list[_Running] = []

    def __bool__(self) -> bool:
        return bool(self._running)

    def start(self, backup: Backup) -> None:
        self._running.append(_Running(backup, self._store.backup(backup.path)))

    def step(self) -> list[Event]:
        """Go on; what has ended."""
        ended: list[Event] = []
        for running in list(self._running):
            event = running.step()
            if event is not None:
                self._running.remove(running)
                ended.append(event)
        return ended


class _Running:
    def __init__(self, backup: Backup, steps: Iterator[int]) -> None:
        self._backup = backup
        self._steps = steps
        self._size = 0

    def step(self) -> BackedUp | None:
        """Go on; the event when it has ended."""
        peer, ref, _ = self._backup
        try:
            self._size = next(self._steps)
        except StopIteration:
            return BackedUp(peer, ref, self._size, None)
        except IpcbusError as error:
            return BackedUp(peer, ref, self._size, str(error))
        return None
