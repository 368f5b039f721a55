"""`pause` and `resume`: a person stops the deliveries, and lets them go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from ipcbus.client.sync import Client
from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.session import as_operator
from ipcbus.doors.text import safe_line
from ipcbus.networks import find
from ipcbus.protocol.address import fold

F = TypeVar("F", bound=Callable[..., Any])


def _whom(command: F) -> F:
    # No variable stands in for --as here: in the shell of an agent it would make
    # "stop everything" mean "stop this one".
    named = click.option(
        "--as", "also", multiple=True, metavar="NAME", help="The same as AGENT."
    )
    return click.argument("agents", nargs=-1, metavar="[AGENT]...")(named(command))


@click.command()
@_whom
@operator
def pause(
    agents: tuple[str, ...], also: tuple[str, ...], network: str | None, as_json: bool
) -> None:
    """Stop all deliveries, or those to single agents.

    Sending goes on, and so do acks; what is sent waits. Holds until `resume`, also
    when the broker is started again.
    """
    _carry_out("pause", (*agents, *also), network, as_json)


@click.command()
@_whom
@operator
def resume(
    agents: tuple[str, ...], also: tuple[str, ...], network: str | None, as_json: bool
) -> None:
    """Let deliveries go on.

    An agent that was paused by its name stays paused until it is resumed by its name.
    So does one that a bound on its turns, tokens or money has stopped; what stopped it
    is counted anew.
    """
    _carry_out("resume", (*agents, *also), network, as_json)


def _carry_out(
    what: str, names: tuple[str, ...], network: str | None, as_json: bool
) -> None:
    with as_operator(network) as client:
        found: dict[str, Any] = {"network": client.network}
        for name in _unknown_first(client, names):
            (whole, paused), _ = client.call(what, name)
            found |= {"paused": whole, "agents": paused}
    if what == "resume":
        found["lifted"] = [name for name in names if _lifted(found["network"], name)]

    def human() -> Iterator[str]:
        here = safe_line(found["network"])
        if found["paused"]:
            yield f"{here} is paused: nothing is delivered until ipcbus resume"
        else:
            yield f"{here} delivers"
        for name in found.get("lifted", ()):
            yield f"{safe_line(name)} was stopped by a bound of its own, and goes on"
        for name in found["agents"]:
            yield f"{safe_line(name)} is paused until ipcbus resume {safe_line(name)}"

    emit(found, human, as_json=as_json)


def _lifted(network: str, agent: str) -> bool:
    """Whether a bound had stopped the model behind an agent, and does so no more."""
    from ipcbus.adapters.budget import Account  # only here: few agents are models
    from ipcbus.adapters.ledger import Ledger

    ledger = Ledger(find(network), agent)
    if ledger.read().stopped is None:
        return False
    ledger.change(Account.resume)
    return True


def _unknown_first(client: Client, names: tuple[str, ...]) -> list[str | None]:
    """In the order to be called in: a slip in one name changes nothing for the others.
    None for the whole network."""
    if len(names) < 2:
        return [*names] or [None]
    known = {fold(agent.name) for agent in client.agents()}
    unknown = [name for name in names if fold(name) not in known]
    return [*unknown, *(name for name in names if name not in unknown)]
