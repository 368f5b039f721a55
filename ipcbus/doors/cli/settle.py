"""`ack`, `nack` and `extend`: settle by id what an earlier command has leased."""

from __future__ import annotations

import click

from ipcbus.doors.cli.options import duration, member
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.session import as_member

_IDS = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.command()
@_IDS
@member
def ack(
    ids: tuple[str, ...], network: str | None, agent: str | None, as_json: bool
) -> None:
    """Settle messages: they are done.

    They will not come again.
    """
    _settle("ack", ids, network, agent, as_json)


@click.command()
@_IDS
@click.option("--delay", type=duration, default=0.0, help="Come again after this long.")
@click.option("--reason", metavar="TEXT", help="Why; it stays with a dead letter.")
@member
def nack(
    ids: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    delay: float,
    reason: str | None,
) -> None:
    """Refuse messages: they come again.

    After some attempts they are given up.
    """
    _settle("nack", ids, network, agent, as_json, seconds=delay, reason=reason)


@click.command()
@_IDS
@click.option("--by", type=duration, default=60.0, help="How much longer, from now.")
@member
def extend(
    ids: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    by: float,
) -> None:
    """Keep messages for longer."""
    _settle("extend", ids, network, agent, as_json, seconds=by)


def _settle(
    action: str,
    ids: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    seconds: float = 0.0,
    reason: str | None = None,
) -> None:
    with as_member(network, agent) as client:
        for id_ in ids:
            client.call("settle", action, id_, int(seconds * 1000), reason)
    emit(
        {"action": action, "ids": list(ids)},
        lambda: (f"{action}  {id_}" for id_ in ids),
        as_json=as_json,
    )
