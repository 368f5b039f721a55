"""`invite`: one line that lets another machine in."""

from __future__ import annotations

from typing import Final

import click

from ipcbus.client import invitations
from ipcbus.doors.cli.options import duration, operator
from ipcbus.doors.cli.output import emit, remark
from ipcbus.doors.cli.session import as_operator
from ipcbus.doors.view import timestamp
from ipcbus.errors import NoBroker, UsageError
from ipcbus.networks import Network, choose, is_loopback

DAY_S: Final = 24 * 3600.0
_ANYWHERE: Final = ("0.0.0.0", "*", "::")  # noqa: S104  compared, not bound


@click.command()
@click.argument("name")
@click.option(
    "--ttl", type=duration, default=DAY_S, help="How long it is good; 24 h by default."
)
@click.option(
    "--address",
    metavar="HOST[:PORT]",
    help="Where the other machine reaches this one.",
)
@click.option(
    "--bridge",
    is_flag=True,
    help="For a bridge; NAME is that of the network at its other end.",
)
@operator
def invite(
    name: str,
    network: str | None,
    as_json: bool,
    ttl: float,
    address: str | None,
    bridge: bool,
) -> None:
    """Make a one-line invitation for another machine.

    It can be used once, by `ipcbus join-network`, or `ipcbus bridge` if it is for one.
    It is a secret: hand it over as you would a password.
    """
    if bridge:
        name = f"@{name.removeprefix('@')}"
    chosen = choose(network)
    with as_operator(chosen.name) as client:
        endpoint = _endpoint(chosen, address)
        line = invitations.invite(client, name, ttl, endpoint=endpoint)
    made = invitations.read(line)
    document = {
        "name": made.name,
        "network": made.network,
        "invitation": line,
        "expires_at": timestamp(made.expires),
    }
    emit(document, lambda: [line], as_json=as_json)
    if not as_json:
        remark(_next(made))


def _next(made: invitations.Invitation) -> str:
    """How it is used there, without a secret in a command line."""
    if not made.name.startswith("@"):
        return "use it there with `ipcbus join-network`, which asks for it"
    ends = f"{made.name.removeprefix('@')} FILE"
    return f"put it in a file there, and use it with `ipcbus bridge {ends}`"


def _endpoint(network: Network, address: str | None) -> str:
    """Where the broker is, as seen from elsewhere."""
    info = network.broker_info()
    if info is None:
        raise NoBroker(network=network.name, reason="it has just stopped; try again")
    host, _, port = info.endpoint.removeprefix("tcp://").rpartition(":")
    if address is None:
        _check_reach(network.name, host.strip("[]"))
        return info.endpoint
    bare = address.removeprefix("tcp://")
    has_port = not bare.endswith("]") and bare.rpartition(":")[2].isdigit()
    return f"tcp://{bare}" if has_port else f"tcp://{bare}:{port}"


def _check_reach(network: str, host: str) -> None:
    if host in _ANYWHERE:
        raise UsageError(
            reason=f"{network} listens on all addresses of this machine; say with "
            "--address which one the other machine shall use"
        )
    if is_loopback(host):
        remark(
            f"{network} can be reached from this machine only; "
            "to let others in: ipcbus up --host ADDRESS"
        )
