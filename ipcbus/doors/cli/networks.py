"""`networks`: the networks of this machine, from their folders alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ipcbus import networks as known
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, table


@click.command()
@json_option
def networks(as_json: bool) -> None:
    """List the networks of this machine."""
    found = [_describe(each) for each in known.networks()]

    def human() -> Iterator[str]:
        rows = [
            (each["network"], each["state"], each["endpoint"] or "-") for each in found
        ]
        yield from table(("network", "state", "endpoint"), rows)
        for each in found:
            if each["volatile"]:
                yield f"{each['network']} is {known.VOLATILE}"

    emit({"networks": found}, human, as_json=as_json)


def _describe(network: known.Network) -> dict[str, Any]:
    saved, info = network.saved(), network.broker_info()
    state = "down"
    if saved.remote is not None:
        state, info = "remote", None
    elif network.is_served():
        state = "up"
    else:
        info = None
    return {
        "network": network.name,
        "state": state,
        "endpoint": info.endpoint if info else saved.remote,
        "pid": info.pid if info else None,
        "plain": saved.plain,
        "volatile": network.is_volatile(),
        "folder": str(network.folder),
    }
