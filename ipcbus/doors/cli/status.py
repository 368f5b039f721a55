"""`status`: what a broker says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, pairs
from ipcbus.doors.cli.session import as_either
from ipcbus.doors.view import timestamp
from ipcbus.networks import VOLATILE, choose


@click.command()
@member
def status(network: str | None, agent: str | None, as_json: bool) -> None:
    """Show what a broker is doing.

    Ends with 4 if none is running.
    """
    chosen = choose(network)
    with as_either(chosen.name, agent, start=False) as client:
        said = client.status()
    info = chosen.broker_info()
    endpoint = info.endpoint if info else chosen.saved().remote
    found = {
        "network": chosen.name,
        "endpoint": endpoint,
        "pid": info.pid if info else None,
        **said,
    }

    def human() -> Iterator[str]:
        if found["volatile"]:
            yield f"{chosen.name} is {VOLATILE}"
        guards = found["guards"]
        rows = {", ".join(row["agents"]): _turns(row) for row in guards["rounds"]}
        ended = dict.fromkeys(guards["threads"], "has had all its turns")
        yield from pairs({**found, "guards": {**rows, **ended}})

    emit(found, human, as_json=as_json)


def _turns(row: dict[str, Any]) -> str:
    """Of agents that answer each other, for people."""
    if row["until_ms"]:
        return f"stopped until {timestamp(row['until_ms'])}"
    return f"{row['turns']} turns in the last minute"
