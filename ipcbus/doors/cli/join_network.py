"""`join-network`: use an invitation; the network is known on this machine then."""

from __future__ import annotations

import shutil
import sys
from typing import Final

import click

from ipcbus.client import invitations
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.errors import NoBroker, NoNetwork, Refused
from ipcbus.networks import find

MOST: Final = 4096
"""Letters of an invitation; they have about 400."""


@click.command("join-network")
@click.argument("invitation")
@json_option
def join_network(invitation: str, as_json: bool) -> None:
    """Use an invitation on this machine.

    INVITATION is the line that `ipcbus invite` printed, or - to read it from stdin,
    where other users of this machine cannot see it.
    """
    line = invitation
    if invitation == "-":
        line = sys.stdin.read(MOST) if sys.stdin is not None else ""
    invited = invitations.read(line)
    is_new = _is_new(invited.network)
    try:
        network = invitations.join_network(line)
    except (Refused, NoBroker):
        if is_new:  # else the next command would find a network that lets nobody in
            shutil.rmtree(find(invited.network).folder, ignore_errors=True)
        raise
    found = {
        "name": invited.name,
        "network": network.name,
        "endpoint": invited.endpoint,
    }
    emit(
        found,
        lambda: [f"you can be {invited.name} in {network.name} now"],
        as_json=as_json,
    )


def _is_new(name: str) -> bool:
    try:
        find(name)
    except NoNetwork:
        return True
    return False
