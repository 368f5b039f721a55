"""A client's socket thread, as far as it is the same for all kinds of clients.

Other threads and tasks put what they want into deques and wake it if it sleeps; they
wait on `Pending`s and on `Bell`s, never on the socket.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from ipcbus.client.loop import Loop, T
from ipcbus.client.route import Route
from ipcbus.errors import LocalProtocolError
from ipcbus.transport.keys import KeyPair

EXIT_S = 1.0
"""For the goodbyes of all clients when the process ends."""

_live: WeakSet[Worker[Any]] = WeakSet()

_forks = 0
"""Forks that lead to this process. To ask for its id would be a system call for each
message, which is more than all else that a message needs here."""


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Worker(Loop[T]):
    def __init__(
        self, route: Route, keys: KeyPair, tracker: T, *, patient: bool = False
    ) -> None:
        super().__init__(route, keys, tracker, patient=patient)
        self._born = _forks
        self._closed = False

    def start(self) -> None:
        if not _live:
            atexit.unregister(close_all)
            atexit.register(close_all)
        _live.add(self)
        name = f"ipcbus-{self.network}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def check(self) -> None:
        """Raise if nothing can be asked of it any more."""
        if _forks != self._born:
            raise LocalProtocolError(
                reason="a client does not survive a fork; connect in the child"
            )
        if self.failed is not None:
            raise self.failed.with_traceback(None)

    def post(self, command: Callable[..., object], *args: Any) -> None:
        """Have `command(*args)` called by the socket's thread."""
        self.check()
        self._commands.append((command, args))
        self._wake()

    def is_running(self) -> bool:
        """Whether its thread lives: not in a forked child."""
        return not self.ended.done() and _forks == self._born

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self, timeout: float, *, keep_leases: bool) -> None:
        """Ask it to end: say what waits to be said, then BYE; at most `timeout`."""
        self._closed = True
        if self.is_running():
            by = time.monotonic() + timeout
            self._commands.append((self._begin_close, (by, keep_leases)))
            self._wake()


def close_all() -> None:
    """Let the clients of a process that ends say goodbye, all in one short time."""
    workers = [worker for worker in _live if worker.is_running()]
    end = time.monotonic() + EXIT_S
    for worker in workers:
        worker.close(EXIT_S, keep_leases=False)
    for worker in workers:
        worker.ended.wait(max(0.0, end + 0.2 - time.monotonic()))
