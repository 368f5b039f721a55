"""All sockets of a broker, opened and closed in one place.

One process has one network and one ZeroMQ context: whoever answers ZAP answers it for
the whole context, so two networks in one could let each other's members in (R18).
"""

from __future__ import annotations

import logging
import time
from typing import Final

import zmq

from ipcbus.transport.inbox import Inbox
from ipcbus.transport.keys import KeyPair
from ipcbus.transport.outbox import Outbox
from ipcbus.transport.router import Context, open_router
from ipcbus.transport.selftest import check_gate
from ipcbus.transport.watch import Watch
from ipcbus.transport.zap import Gate

REFUSALS_S: Final = 10.0
"""Seconds between two lines of the log on refused keys; a client that is not admitted
may try for ever."""

MAX_CONNECTIONS: Final = 100_000

_log = logging.getLogger("ipcbus.broker")


class Sockets:
    """The gate and the front, tested but not yet bound.

    Args:
        server: the network's CURVE keys; None for plain mode.
        most: connections held at most.

    Raises `CannotServe` if the gate does not hold.
    """

    def __init__(
        self, network: str, server: KeyPair | None, most: int = MAX_CONNECTIONS
    ) -> None:
        self.context: Context = zmq.Context()
        try:
            self.gate = Gate(self.context, network)
            self.front = open_router(self.context, network, server)
            check_gate(self.context, network, self.gate, self.front, server)
            self.watch = Watch(self.context, self.front.socket, most=most)
        except BaseException:
            self.context.destroy(linger=0)
            raise
        self.gate.refused = _Refusals().note  # the stranger of the test is no news
        self.inbox = Inbox(self.front.socket, self.watch, self.gate)
        self.outbox = Outbox(self.front.socket, self.watch)

    def close(self, linger_ms: int = 0) -> None:
        """Idempotent. `linger_ms` is for what was just said to leave."""
        if self.context.closed:
            return
        self.watch.close()
        self.gate.close()
        self.front.close(linger_ms)
        self.context.term()


class _Refusals:
    """Writes refused keys to the log, but not each of them."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unsaid = 0

    def note(self, key: str, address: str) -> None:
        self._unsaid += 1
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFUSALS_S
        _log.warning(
            "refused key %s... from %s (%d since the last such line)",
            ascii(key[:8])[1:-1],  # of a plain network it is whatever somebody says
            address,
            self._unsaid,
        )
        self._unsaid = 0
