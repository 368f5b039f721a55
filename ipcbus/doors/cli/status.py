"""`status`: what a broker says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, pairs
from ipcbus.doors.cli.session import as_either
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
        yield from pairs(found)

    emit(found, human, as_json=as_json)
