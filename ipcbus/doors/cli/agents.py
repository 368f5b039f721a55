"""`agents`: who is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.session import as_either
from ipcbus.doors.text import age
from ipcbus.doors.view import timestamp


@click.command()
@member
def agents(network: str | None, agent: str | None, as_json: bool) -> None:
    """List the agents of a network.

    And those of other networks that bridges show to you, as name@network.
    """
    with as_either(network, agent) as client:
        name, found = client.network, client.agents()

    def human() -> Iterator[str]:
        rows = [
            (each.name, _presence(each), ", ".join(f"#{t}" for t in each.topics))
            for each in found
        ]
        yield from table(("agent", "seen", "topics"), rows)

    document = {"network": name, "agents": [_document(each, name) for each in found]}
    emit(document, human, as_json=as_json)


def _presence(each: Any) -> str:
    _, at, network = each.name.partition("@")
    if at:
        return f"in {network}, by a bridge"
    if each.sessions:
        return "connected" if each.sessions == 1 else f"connected {each.sessions} times"
    if not each.registered:
        return "not registered yet"
    if each.last_seen is None:
        return "not since the broker started"
    return age(time.time() - each.last_seen / 1000)


def _document(each: Any, here: str) -> dict[str, Any]:
    return {
        "name": each.name,
        "network": each.name.partition("@")[2] or here,
        "registered": bool(each.registered),
        "sessions": each.sessions,
        "last_seen": None if each.last_seen is None else timestamp(each.last_seen),
        "topics": list(each.topics),
    }
