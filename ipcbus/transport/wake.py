"""Signals become bytes on a descriptor that the loop polls.

A handler that only sets a flag is not enough: libzmq's poll goes on sleeping. And
one that raises would tear a turn apart. So Python writes the signal's number to a
socket pair (`signal.set_wakeup_fd`), and the loop ends between two turns.

The second signal ends the process at once: the handlers are gone by then. Nothing is
lost by that, as by any other death.
"""

from __future__ import annotations

import signal
import socket
import threading
from typing import Any, Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_STOP: Final = 0  # no signal has this number
_STOPS: Final = frozenset({_STOP, *SIGNALS})


class Waker:
    """A stop that can be asked for by a signal or by another thread."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def fileno(self) -> int:
        return self._read.fileno()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT. Only the main thread can; others have `stop`."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._wakeup_before = signal.set_wakeup_fd(self._write.fileno())
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._first)

    def stop(self) -> None:
        """Ask the loop to end; from any thread."""
        self._write.send(bytes([_STOP]))

    def asked(self) -> bool:
        """Whether a stop was asked for. Other signals that the program handles write
        here too, and mean nothing to us."""
        try:
            numbers = self._read.recv(64)
        except BlockingIOError:
            return False
        return any(number in _STOPS for number in numbers)

    def close(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        self._before = {}
        self._read.close()
        self._write.close()

    @staticmethod
    def _first(_number: int, _frame: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
