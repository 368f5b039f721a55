"""Before anyone is let in: does the gate hold? (R19)

A socket whose ZAP set-up is wrong looks exactly like one that works, and lets anybody
in. So each broker tries its own front door before it opens it to others: on a port
of its own, with the very socket that will serve, a stranger must be turned away and a
key that was admitted must arrive under its own name. It takes some milliseconds.
"""

from __future__ import annotations

import time
from typing import Final

import zmq

from ipcbus.errors import CannotServe
from ipcbus.networks.records import LOOPBACK
from ipcbus.transport.keys import KeyPair, generate, z85
from ipcbus.transport.router import Context, Front
from ipcbus.transport.zap import Gate

BOUND_S: Final = 2.0
"""Seconds after which a test that has not ended has failed."""

_POLL_MS: Final = 50
_WORD: Final = b"self-test"


def check_gate(
    context: Context, network: str, gate: Gate, front: Front, server: KeyPair | None
) -> None:
    """Raises `CannotServe` unless strangers are refused and members let in."""
    member, stranger = generate(), generate()
    endpoint = front.bind(LOOPBACK, 0)
    gate.admit(member.public)
    sockets = [_client(context, endpoint, key, server) for key in (member, stranger)]
    refusal = sockets[1].get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    try:
        problem = _try(gate, front, refusal, member.public)
    finally:
        gate.expel(member.public)
        sockets[1].disable_monitor()
        for socket in (*sockets, refusal):
            socket.close(linger=0)
        front.unbind()
    if problem:
        raise CannotServe(network=network, reason=f"the gate does not hold: {problem}")


def _try(
    gate: Gate, front: Front, refusal: zmq.Socket[bytes], member: str
) -> str | None:
    """What is wrong, if anything."""
    poller = zmq.Poller()
    for socket in (gate.socket, front.socket, refusal):
        poller.register(socket, zmq.POLLIN)
    arrived = refused = False
    deadline = time.monotonic() + BOUND_S
    while not (arrived and refused):
        if time.monotonic() > deadline:
            return (
                "a member was not let in" if refused else "a stranger was not refused"
            )
        for socket, _ in poller.poll(_POLL_MS):
            if socket is gate.socket:
                gate.serve()
            elif socket is refusal:
                refusal.recv_multipart()
                refused = True
            elif _sender(front.socket) == member:
                arrived = True
            else:
                return "a stranger was let in"
    return None


def _sender(socket: zmq.Socket[bytes]) -> str | None:
    """Whose message this is, as the gate named it."""
    _, word = socket.recv_multipart(zmq.NOBLOCK, copy=False)
    try:
        name = word.get("User-Id")
    except zmq.ZMQError:
        return None
    assert isinstance(name, str)
    return name if word.bytes == _WORD else None


def _client(
    context: Context, endpoint: str, key: KeyPair, server: KeyPair | None
) -> zmq.Socket[bytes]:
    client = context.socket(zmq.DEALER)
    client.linger = 0
    if server is None:
        client.plain_username = key.public.encode()
    else:
        client.curve_serverkey = z85(server.public)
        client.curve_publickey = z85(key.public)
        client.curve_secretkey = z85(key.secret)
    client.connect(endpoint)
    client.send(_WORD)
    return client
