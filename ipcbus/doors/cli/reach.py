"""Asking several networks of this machine, each by whoever may ask there.

The owner of a network sees all of it, so the operator asks where it is ours. In one
that was joined an agent asks that was invited here: the one of `--as`, or any. To look
around starts no broker, and one that cannot be asked is told of and no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from ipcbus.client.connect import connect
from ipcbus.client.sync import Client
from ipcbus.doors.cli.session import PROGRAM, as_operator
from ipcbus.errors import IpcbusError, NotPermitted
from ipcbus.networks import Network, find
from ipcbus.protocol.address import fold

T = TypeVar("T")

REACH_S: Final = 5.0
"""Seconds for a network to be reached, so that one that is not there stops nothing."""


class Unasked(NamedTuple):
    """A network that could not be asked, and why."""

    network: str
    reason: str


def ask_each(
    networks: Iterable[Network], agent: str | None, ask: Callable[[Client], T]
) -> tuple[dict[str, T], list[Unasked]]:
    """What each network answers, by its name."""
    answers: dict[str, T] = {}
    unasked = []
    for network in networks:
        try:
            with as_whoever(network, agent) as client:
                answers[network.name] = ask(client)
        except IpcbusError as error:
            unasked.append(Unasked(network.name, str(error)))
    return answers, unasked


def as_whoever(network: Network, agent: str | None) -> Client:
    """A session of who may ask `network`. Raises `NoBroker`, `NotPermitted`."""
    if network.saved().remote is None:
        return as_operator(network.name, start=False, timeout=REACH_S)
    return connect(
        network.name,
        agent=_member(network, agent),
        start=False,
        timeout=REACH_S,
        program=PROGRAM,
    )


def as_owner(name: str) -> Client:
    """The operator of network `name`, for what only its owner may ask. Its broker is
    started if need be: what is steered must hold when it comes up."""
    return as_operator(find(name).name)


def try_owner(name: str) -> Client | Unasked:
    """The same, or why not: it is another machine's, say."""
    try:
        return as_owner(name)
    except IpcbusError as error:
        return Unasked(name, str(error))


def links_of(client: Client) -> list[dict[str, Any]]:
    """The links of a network, as its broker tells of them."""
    found, _ = client.call("links")
    return [dict(each) for each in found]


def link_of(client: Client, peer: str) -> dict[str, Any] | None:
    """The link to `peer`; None if the network has none."""
    found = [one for one in links_of(client) if fold(one["peer"]) == fold(peer)]
    return found[0] if found else None


def _member(network: Network, agent: str | None) -> str:
    if agent and network.key_path(agent).exists():
        return agent
    for name in _members(network):
        return name
    raise NotPermitted(reason=f"no agent of {network.name} is on this machine")


def _members(network: Network) -> Iterator[str]:
    """Agents whose keys are here; those of bridges are called `@peer`."""
    for path in sorted(network.keys.glob("*.key")):
        if not path.name.startswith("@"):
            yield path.stem
