"""Invitations: one line that lets another machine join a network.

    "ipcbus1." + base64url(msgpack(
        [network, endpoint, server key, name, secret, expires]))

The secret is of a one-time CURVE key, made here and told to nobody else; the broker
knows its public half and lets it do one thing: exchange itself for the key that the
invited agent makes on its own machine. Whoever reads the line first can take the name,
once, before it expires. So it goes through a private channel, and through stdin or a
file, never through argv.
"""

from __future__ import annotations

import base64
import binascii
import time
from pathlib import Path
from typing import Any, NamedTuple

import zmq
from msgpack import packb
from zmq.utils.z85 import decode

from ipcbus.client.calling import Asked
from ipcbus.client.connect import greeted
from ipcbus.client.engine import Engine
from ipcbus.client.message import Message
from ipcbus.client.route import Route
from ipcbus.client.sync import Client
from ipcbus.errors import (
    InvalidAddress,
    InvalidMessage,
    NotPermitted,
    RemoteProtocolError,
    UsageError,
)
from ipcbus.networks import Network, Saved, create, find
from ipcbus.protocol.address import check_name
from ipcbus.protocol.pieces import load
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair, z85

PREFIX = "ipcbus1."

_OVER = "the invitation was used, has expired or was revoked; ask for another one"


class Invitation(NamedTuple):
    """What the line says; `expires` in UTC milliseconds. Its repr keeps the secret."""

    network: str
    endpoint: str
    server_key: str
    name: str
    secret: str
    expires: int

    def __repr__(self) -> str:
        return f"Invitation({self.name}@{self.network}, {self.endpoint})"


def invite(
    client: Client, name: str, ttl: float = 3600.0, *, endpoint: str | None = None
) -> str:
    """The line that lets somebody join as `name` within `ttl` seconds; as `@prod`, a
    bridge to network `prod`.

    `client` is an operator's. `endpoint` is where the broker is reached from outside,
    when that is not where it listens. Raises `NotPermitted`, `NameTaken`.
    """
    check_name(name.removeprefix("@"))
    target = Route(find(client.network), start=False).find(0)
    if target.server_key is None:
        raise UsageError(reason="a plain network has no keys, so nothing to invite to")
    pair = keys.generate()
    value, _ = client.call("invite", name, pair.public, int(ttl * 1000))
    fields = Invitation(
        client.network,
        endpoint or target.endpoint,
        target.server_key,
        value[0],
        pair.secret,
        value[1],
    )
    return PREFIX + base64.urlsafe_b64encode(packb(fields)).decode().rstrip("=")


def read(line: str) -> Invitation:
    """What an invitation says. Raises `InvalidMessage`, showing nothing of it."""
    wrong = InvalidMessage(field="invitation", reason="is not one, or was cut")
    text = "".join(line.split())
    if not text.startswith(PREFIX):
        raise wrong
    encoded = text.removeprefix(PREFIX)
    try:
        packed = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), b"-_", validate=True
        )
        fields: Any = load(packed)
    except (binascii.Error, ValueError, RemoteProtocolError):
        raise wrong from None
    if not _is_sound(fields):
        raise wrong
    invitation = Invitation(*fields)
    try:
        check_name(invitation.network)
        check_name(invitation.name.removeprefix("@"))
    except InvalidAddress:
        raise wrong from None
    return invitation


def _is_sound(fields: Any) -> bool:
    return (
        type(fields) is list
        and len(fields) == 6
        and [type(field) for field in fields] == [str, str, str, str, str, int]
        and keys.is_key(fields[2])
        and keys.is_key(fields[4])
        and fields[1].startswith("tcp://")
    )


def join_network(line: str, *, timeout: float = 10.0) -> Network:
    """Join the network of an invitation, as the agent it is for.

    Raises `InvalidMessage`, `NotPermitted` (used, expired, revoked), `NoBroker`,
    `UsageError` if another network of that name is on this machine.
    """
    invitation = read(line)
    if invitation.expires <= time.time() * 1000:
        raise NotPermitted(reason="the invitation has expired; ask for another one")
    network = _remember(invitation)
    path = network.key_path(invitation.name)
    had_key = path.exists()
    public = decode(zmq.curve_public(z85(invitation.secret))).hex()
    once = KeyPair(public, invitation.secret)
    engine = Engine(Route(network, start=False), once, Message, program="join-network")
    deadline = time.monotonic() + timeout
    try:
        greeted(engine, deadline, timeout)
    except NotPermitted as error:
        raise NotPermitted(reason=_OVER) from error
    try:
        try:
            _redeem(engine, keys.create(path), deadline, timeout)
        except NotPermitted:
            if not had_key:
                raise
            _redeem_anew(engine, path, deadline, timeout)
    finally:
        engine.close(1.0, keep_leases=False)
    return network


def _redeem_anew(engine: Engine, path: Path, deadline: float, timeout: float) -> None:
    """The key of an earlier time was revoked: who invites anew wants a new one. Or the
    invitation was used, maybe a moment ago for that very key: then it stays."""
    known = keys.load(path)
    try:
        _redeem(engine, keys.put(path, keys.generate()), deadline, timeout)
    except BaseException:
        keys.put(path, known)
        raise


def _redeem(engine: Engine, own: KeyPair, deadline: float, timeout: float) -> None:
    asked = Asked("redeem", [own.public])
    engine.post(engine.tracker.calling.call, asked)
    engine.result(asked, deadline - time.monotonic(), timeout)


def _remember(invitation: Invitation) -> Network:
    network = create(invitation.network)
    saved = network.saved()
    if saved.remote is None and network.server_key.exists():
        reason = f"a network called {network.name} is served on this machine already"
        raise UsageError(reason=reason)
    if saved.server_key not in (None, invitation.server_key):
        reason = f"another network called {network.name} was joined before"
        raise UsageError(reason=reason)
    network.save(Saved(remote=invitation.endpoint, server_key=invitation.server_key))
    return network
