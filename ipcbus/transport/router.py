"""The broker's front door: one ROUTER socket, set up in one place.

Every option has its reason beside it; the rules (R1 to R40) and what was measured
are in docs/zeromq.md.
"""

from __future__ import annotations

import time
from typing import Final

import zmq

from ipcbus.errors import CannotServe, PortInUse, UsageError
from ipcbus.networks import is_loopback
from ipcbus.protocol import limits
from ipcbus.transport.keys import KeyPair, z85

Context = zmq.Context[zmq.Socket[bytes]]

SNDHWM: Final = 64
"""Messages libzmq queues for one peer. It counts messages, not bytes, so this times a
whole frame is what a stalled reader costs here; the outbox counts bytes behind it."""

RCVHWM: Final = 0
"""No bound on the messages libzmq reads ahead from one peer. Where one is reached it
stops in the middle of what has come; if the connection ends then, a PING of ZMTP among
the rest aborts the process (`!_io_error`, stream_engine_base.cpp:310), and any client
with heartbeats may leave one there. `watch` bounds what is read ahead, in bytes."""

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: all clients return at once after a
restart, and one that finds the backlog full waits a second for TCP."""

KEEPALIVE_S: Final = 15
KEEPALIVE_AGAIN_S: Final = 5
KEEPALIVE_MISSED: Final = 3
"""TCP keepalive finds connections whose other machine vanished before they had a
session; those that have one are missed by their pings long before. No heartbeats of
ZMTP: libzmq walks through all its timers to cancel one, so that with 10,000
connections its only I/O thread did nothing else (70 % of a processor while all of them
were idle, 4 % without); and a client that has them on aborts when its application
stalls (libzmq #3937)."""

BIND_S: Final = 0.6
"""Seconds to wait for a port: that of a broker that died a moment ago may still be
held by its process until the kernel has torn it down."""

_RETRY_S: Final = 0.01


def open_router(context: Context, network: str, server: KeyPair | None) -> Front:
    """The socket, not yet bound. `server` None means plain mode."""
    if not zmq.has("curve"):
        raise CannotServe(network=network, reason="this libzmq has no CURVE")
    socket = context.socket(zmq.ROUTER)
    # Never wait: no peer may hold up the others, and no end may hang.
    socket.linger = 0
    socket.sndtimeo = 0
    # A peer that is gone or slow is an error that we see, not a silent loss (R3).
    socket.router_mandatory = 1
    socket.sndhwm = SNDHWM
    socket.rcvhwm = RCVHWM
    # Before and after authentication: nobody sends larger or sits there silent.
    socket.maxmsgsize = limits.MAX_FRAME
    socket.setsockopt(zmq.HANDSHAKE_IVL, limits.HANDSHAKE_MS)
    socket.backlog = BACKLOG
    socket.heartbeat_ivl = 0
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = KEEPALIVE_S
    socket.tcp_keepalive_intvl = KEEPALIVE_AGAIN_S
    socket.tcp_keepalive_cnt = KEEPALIVE_MISSED
    # Without an enforced domain a socket lets anybody in when no handler answers.
    socket.zap_domain = network.encode()
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    # ROUTER_HANDOVER stays off, and no routing id is set anywhere (R2).
    if server is None:
        socket.plain_server = 1
    else:
        socket.curve_server = 1
        socket.curve_secretkey = z85(server.secret)
        socket.curve_publickey = z85(server.public)
    return Front(network, socket, plain=server is None)


class Front:
    """The ROUTER socket and where it is bound."""

    def __init__(self, network: str, socket: zmq.Socket[bytes], *, plain: bool) -> None:
        self.socket = socket
        self._network = network
        self._plain = plain

    def bind(self, host: str, port: int, patience_s: float = BIND_S) -> str:
        """Serve there; the endpoint with the port that was really bound.

        Raises `UsageError` for a plain network beyond loopback, `PortInUse`,
        `CannotServe` for a host that is not this machine's.
        """
        if self._plain and not is_loopback(host):
            raise UsageError(
                reason=f"{self._network} is plain: no encryption and no proof of "
                f"who speaks, so it may listen on 127.0.0.1 only, not on {host}"
            )
        self.socket.ipv6 = ":" in host
        shown = f"[{host}]" if ":" in host else host
        endpoint = f"tcp://{shown}:{port or '*'}"
        self._bind(endpoint, time.monotonic() + patience_s)
        return self.endpoint

    @property
    def endpoint(self) -> str:
        """Where it is bound."""
        last = self.socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(last, bytes)
        return last.decode()

    def unbind(self) -> None:
        """Stop listening there. libzmq drops the connections of it as well."""
        self.socket.unbind(self.endpoint)

    def close(self, linger_ms: int = 0) -> None:
        """The end; `linger_ms` for the last words to leave."""
        self.socket.close(linger=linger_ms)

    def _bind(self, endpoint: str, deadline: float) -> None:
        while True:
            try:
                self.socket.bind(endpoint)
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise CannotServe(
                        network=self._network,
                        reason=f"cannot listen on {endpoint}: {error.strerror}",
                    ) from error
                if time.monotonic() >= deadline:
                    raise PortInUse(endpoint=endpoint) from error
                time.sleep(_RETRY_S)
            else:
                return
