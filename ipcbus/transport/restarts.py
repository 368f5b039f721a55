"""What a supervisor does when a broker's process has ended: a table and a delay.

exit code                                      then
0     it was told to: `down`, SIGTERM          not started again
12 18 another broker serves, or took over      wait for its lock, then start
2 13 14 15 16 17  configuration, folder, file  give up: no restart mends that
      system, database, stale file
11    port in use                              again, PORT_TRIES times; then give up
else, and every signal                         again, later each time
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ipcbus.errors import PortInUse

FIRST_S: Final = 0.2
MOST_S: Final = 30.0
"""Seconds before a restart: doubled each time from FIRST_S, up to MOST_S."""

STEADY_S: Final = 60.0
"""Seconds a broker must have served for its earlier failures to be forgotten."""

PORT_TRIES: Final = 5
"""In about five seconds a broker that is just ending has let go of its port."""


class Then(Enum):
    """What follows the end of a process."""

    DONE = "done"
    WAIT = "wait"
    GIVE_UP = "give up"
    AGAIN = "again"


_THEN: Final = {
    0: Then.DONE,
    12: Then.WAIT,
    18: Then.WAIT,
    **dict.fromkeys((2, 13, 14, 15, 16, 17), Then.GIVE_UP),
}


def then(code: int, failures: int) -> Then:
    """What follows exit code `code` (negative: a signal), `failures` in a row now."""
    if code == PortInUse.exit_code and failures >= PORT_TRIES:
        return Then.GIVE_UP
    return _THEN.get(code, Then.AGAIN)


def delay(failures: int, chance: float) -> float:
    """Seconds before restart number `failures`; `chance` of 0 to 1 spreads them.

    From half to all of the doubled time, so that brokers which fell together do not
    rise together (AWS, "Exponential Backoff and Jitter").
    """
    longest = min(MOST_S, FIRST_S * 2.0 ** min(failures - 1, 30))
    return longest * (0.5 + chance / 2)
