"""No core files of processes that hold keys and mail.

A crash would write both to a file, or hand them to a service that collects such files:
that one is not stopped by a limit of 0, but by 1 (core(5)). It is asked for by the
programs of ipcbus, a broker and each `ipcbus ...`, and never by the library: what an
application that uses it may write is the application's affair.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

_before: list[tuple[int, int]] = []
"""The limit that this process was started with, once it has been lowered."""


def forbid() -> None:
    """From now on this process leaves no core file."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    _before[:] = _before or [limit]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if limit[1] else 0, limit[1]))


@contextmanager
def as_before() -> Iterator[None]:
    """A program that is started meanwhile may leave what this process might have left:
    limits are inherited, and it is a user's. It takes some milliseconds; to lower the
    limit in the child would need a fork, which is not safe where there are threads."""
    for limit in _before:
        resource.setrlimit(resource.RLIMIT_CORE, limit)
    try:
        yield
    finally:
        if _before:
            forbid()
