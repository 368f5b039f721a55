"""`down`: ask a broker to stop, and wait until it has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import click

from ipcbus.doors.cli.options import operator, typed
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.session import as_operator
from ipcbus.errors import Disconnected, IpcbusError, TimedOut, UsageError
from ipcbus.networks import Network, choose, networks

STOP_S: Final = 10.0
"""Seconds that a broker has to commit, say goodbye and let go of the lock."""

LISTEN_S: Final = 3.0
"""Seconds that it has to listen at all."""

_LOOK_S: Final = 0.02


@click.command()
@click.option("--all", "all_", is_flag=True, help="Every network of this machine.")
@click.option(
    "--force", is_flag=True, help="Kill it if it does not listen; mail stays as well."
)
@operator
def down(network: str | None, as_json: bool, all_: bool, force: bool) -> None:
    """Stop the broker of a network.

    Mail stays where it is, but for that of a volatile network, which is lost. One that
    is not running is stopped already.
    """
    if all_ and typed("network"):
        raise UsageError(reason="say --network or --all, not both")
    chosen = networks() if all_ else [choose(network)]
    volatile = {each.name for each in chosen if each.is_volatile()}
    found = [_stop(each, force) for each in chosen]

    def human() -> Iterator[str]:
        for each in found:
            what = "stopped" if each["stopped"] else "was not running"
            gone = each["stopped"] and each["network"] in volatile
            lost = "; it was volatile, and its messages are gone" if gone else ""
            yield f"network {each['network']} {what}{lost}"

    emit({"networks": found}, human, as_json=as_json)


def _stop(network: Network, force: bool) -> dict[str, Any]:
    serving = network.saved().remote is None and network.is_served()
    if serving:
        try:
            _ask_to_stop(network)
        except IpcbusError:
            from ipcbus.transport import launch  # only for one that does not listen

            launch.stop(network, timeout=LISTEN_S if force else STOP_S, force=force)
    return {"network": network.name, "stopped": serving}


def _ask_to_stop(network: Network) -> None:
    """Raises if it does not listen, or goes on."""
    client = as_operator(network.name, start=False, timeout=LISTEN_S)
    with client, suppress(Disconnected):  # it may be quicker than its answer
        client.call("shutdown", timeout=LISTEN_S)
    _await_end(network)


def _await_end(network: Network) -> None:
    """The lock is what it gives up last, so a new broker can start right after."""
    deadline = time.monotonic() + STOP_S
    while network.is_served():
        if time.monotonic() > deadline:
            raise TimedOut(what=f"the end of {network.name}", seconds=STOP_S)
        time.sleep(_LOOK_S)
