"""`bridges`: looking after the links between networks.

A command that is about the link from A to B asks the broker of A, where mail for B
waits. What bridges run is told by their reports to the brokers, so it can be asked from
wherever the network can.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ipcbus.doors.cli.bridge_check import check
from ipcbus.doors.cli.bridge_explain import explain
from ipcbus.doors.cli.bridge_parked import parked
from ipcbus.doors.cli.bridge_status import status
from ipcbus.doors.cli.bridge_stop import stop
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.reach import Unasked, as_owner, try_owner
from ipcbus.doors.text import safe_line
from ipcbus.errors import IpcbusError


@click.group()
def bridges() -> None:
    """Look after the links between networks.

    A and B are two networks; the link from A to B is what carries mail of A to B.
    """


for command in (status, check, explain, parked, stop):
    bridges.add_command(command)

_A = click.argument("a")
_B = click.argument("b")
_ONE_WAY = click.option("--one-way", is_flag=True, help="Only the link from A to B.")


@bridges.command()
@_A
@_B
@_ONE_WAY
@json_option
def reload(a: str, b: str, one_way: bool, as_json: bool) -> None:
    """Have bridges read their rules again.

    Bridges do so by themselves when their file changes. Nothing is lost, and what
    cannot be read changes nothing: see ipcbus bridges check.
    """
    _both(a, b, "reload", one_way, as_json)


@bridges.command()
@_A
@_B
@_ONE_WAY
@json_option
def pause(a: str, b: str, one_way: bool, as_json: bool) -> None:
    """Stop the links between two networks.

    Mail waits on disk until they are resumed, also if bridges are started anew.
    """
    _both(a, b, "pause", one_way, as_json)


@bridges.command()
@_A
@_B
@_ONE_WAY
@json_option
def resume(a: str, b: str, one_way: bool, as_json: bool) -> None:
    """Let the links between two networks go on."""
    _both(a, b, "resume", one_way, as_json)


@bridges.command()
@_A
@_B
@json_option
def trust(a: str, b: str, as_json: bool) -> None:
    """Take whatever answers to B's name next for B.

    A network that was made anew has another identity, and A takes nothing from it until
    its owner has said that this is right.
    """
    with as_owner(a) as client:
        client.call("steer", b, "trust")
        name = client.network
    emit(
        {"network": name, "peer": b, "trusted": True},
        lambda: [f"{name} trusts the next network that is called {b}"],
        as_json=as_json,
    )


def _both(a: str, b: str, action: str, one_way: bool, as_json: bool) -> None:
    """Steer the link from A to B, and the one back if B can be asked from here."""
    with as_owner(a) as client:
        links = [_steered(client, b, action)]
    unasked = []
    if not one_way:
        back = _back(b, links[0]["network"], action)
        if isinstance(back, Unasked):
            unasked.append(back._asdict())
        else:
            links.append(back)

    def human() -> Iterator[str]:
        for link in links:
            now = {"reload": "reads its rules again"}.get(
                action, "is paused" if link["paused"] else "goes on"
            )
            yield f"{link['network']} -> {safe_line(link['peer'])} {now}"
        for each in unasked:
            yield safe_line(f"{b} -> {a} not asked: {each['reason']}")

    found = {"action": action, "links": links, "unasked": unasked}
    emit(found, human, as_json=as_json)


def _back(b: str, a: str, action: str) -> dict[str, Any] | Unasked:
    client = try_owner(b)
    if isinstance(client, Unasked):
        return client
    with client:
        try:
            return _steered(client, a, action)
        except IpcbusError as error:
            return Unasked(client.network, str(error))


def _steered(client: Any, peer: str, action: str) -> dict[str, Any]:
    (paused, reloads), _ = client.call("steer", peer, action)
    return {
        "network": client.network,
        "peer": peer,
        "paused": paused,
        "reloads": reloads,
    }
