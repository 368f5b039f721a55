"""From a network's name to a connected client."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ipcbus.client.calling import Asked
from ipcbus.client.engine import Engine
from ipcbus.client.message import BaseMessage, Message
from ipcbus.client.route import Route
from ipcbus.client.sayable import end_of, text, whole
from ipcbus.client.sync import Client
from ipcbus.errors import (
    InvalidMessage,
    NoBroker,
    NotPermitted,
    StaleFile,
    UsageError,
)
from ipcbus.networks import choose
from ipcbus.protocol.limits import MAX_CREDIT, MAX_TEXT
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair

ADMITTED_S = 1.0
"""How long a key that was registered just now may take to be let in."""

RETRY_S = 0.02


def connect(
    network: str | None = None,
    *,
    agent: str | None = None,
    prefetch: int = 256,
    start: bool = True,
    timeout: float = 10.0,
    program: str = "",
) -> Client:
    """Connect to a network as one of its agents.

    Args:
        network: its name; else IPCBUS_NETWORK, or the only one there is.
        agent: who to be; else IPCBUS_AGENT. "" for an operator's session. The owner
            of a network can be any agent: a new name gets its key at first use.
        prefetch: messages sent ahead to an application that receives.
        start: start a broker if nobody serves a network of this machine.
        timeout: seconds, for all of it.
        program: who is asking, for people who look at the network.

    Raises `NoNetwork`, `NoBroker`, `NotPermitted`, `NameTaken`, `UsageError`, and what
    keeps a broker from starting (`CannotServe`).
    """
    engine, name = open_engine(
        Message,
        network,
        agent,
        prefetch=prefetch,
        start=start,
        timeout=timeout,
        program=program,
    )
    return Client(engine, name)


def open_engine(
    message_type: type[BaseMessage],
    network: str | None,
    agent: str | None,
    *,
    prefetch: int,
    start: bool,
    timeout: float,
    program: str,
) -> tuple[Engine, str | None]:
    """A connected engine, and the agent's name (None for an operator)."""
    whole("prefetch", prefetch, 1, MAX_CREDIT)
    if len(text("program", program)) > MAX_TEXT:
        reason = f"must be a text of up to {MAX_TEXT} letters"
        raise InvalidMessage(field="program", reason=reason)
    deadline = end_of(timeout)
    name = _agent_name(agent)
    where = choose(network)
    route = Route(where, start=start, wait_s=timeout)

    def opened(pair: KeyPair) -> Engine:
        engine = Engine(route, pair, message_type, program=program, prefetch=prefetch)
        return greeted(engine, deadline, timeout)

    if not name:
        return opened(operator_key(route)), None
    path = where.key_path(name)
    if path.exists():
        pair = keys.load(path)
        try:
            return opened(pair), name
        except NotPermitted:
            # A key that was made but not registered: its maker died in between.
            if not where.operator_key.exists():
                raise
    else:
        operator_key(route)  # who does not own the network leaves no key behind
        pair = keys.create(path)
    _register(route, name, pair, deadline, timeout)
    return _as_new(opened, pair, deadline), name


def greeted(engine: Engine, deadline: float, timeout: float) -> Engine:
    """`engine`, started and welcomed by `deadline`; or ended."""
    engine.start()
    try:
        if not engine.ready.wait(deadline - time.monotonic()):
            raise NoBroker(
                network=engine.network,
                reason=f"no connection within {timeout:g} s"
                + (f" ({engine.problem})" if engine.problem else ""),
            )
        engine.ready.result(0)
    except BaseException:
        engine.close(0.0, keep_leases=True)
        raise
    return engine


def _agent_name(agent: str | None) -> str:
    name = os.environ.get("IPCBUS_AGENT") or None if agent is None else agent
    if name is None:
        raise UsageError(reason="which agent? Say --as NAME, or set IPCBUS_AGENT")
    return name


def operator_key(route: Route) -> KeyPair:
    """The key of the network's owner, whose files these are. Raises `NotPermitted`."""
    network = route.network
    if not route.is_local:
        raise NotPermitted(
            reason=f"{network.name} is another machine's, and that key is not here; "
            "use an invitation: ipcbus join-network"
        )
    if not network.operator_key.exists():
        route.find(0)  # the first broker makes it
    try:
        return keys.load(network.operator_key)
    except StaleFile as error:
        if network.operator_key.exists():
            raise
        reason = f"the operator's key of {network.name} is not on this machine"
        raise NotPermitted(reason=reason) from error


def _register(
    route: Route, name: str, pair: KeyPair, deadline: float, timeout: float
) -> None:
    """As the network's owner, give `name` to a key. Raises `NameTaken`."""
    order(route, "register", [name, pair.public], deadline, timeout)


def order(
    route: Route, call: str, args: list[str], deadline: float, timeout: float
) -> None:
    """One call as the network's owner."""
    operator = Engine(route, operator_key(route), Message)
    greeted(operator, deadline, timeout)
    try:
        asked = Asked(call, args)
        operator.post(operator.tracker.calling.call, asked)
        operator.result(asked, deadline - time.monotonic(), timeout)
    finally:
        operator.close(1.0, keep_leases=False)


def _as_new(
    opened: Callable[[KeyPair], Engine], pair: KeyPair, deadline: float
) -> Engine:
    """Connect with a key that the broker has learnt a moment ago."""
    until = min(deadline, time.monotonic() + ADMITTED_S)
    while True:
        try:
            return opened(pair)
        except NotPermitted:
            if time.monotonic() > until:
                raise
            time.sleep(RETRY_S)
