"""The checker of the test kit (`ipcbus.testing.history`), for real processes.

It is one and the same: what holds in a simulation must hold here.
"""

from ipcbus.testing.history import (
    FAILED,
    OK,
    STALE,
    UNKNOWN,
    Acked,
    Got,
    Seen,
    Sent,
    accepted,
    longest_gap,
    violations,
)

__all__ = [
    "FAILED",
    "OK",
    "STALE",
    "UNKNOWN",
    "Acked",
    "Got",
    "Seen",
    "Sent",
    "accepted",
    "longest_gap",
    "violations",
]
