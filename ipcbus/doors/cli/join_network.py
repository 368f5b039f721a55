"""`join-network`: use an invitation; the network is known on this machine then."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import click

from ipcbus.client import invitations
from ipcbus.client.invitations import Invitation
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.errors import NoBroker, NoNetwork, Refused
from ipcbus.networks import Network, find

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
    network = use(invited, line)
    found = {
        "name": invited.name,
        "network": network.name,
        "endpoint": invited.endpoint,
    }

    def human() -> Iterator[str]:
        name = network.name
        if invited.name.startswith("@"):
            peer = invited.name[1:]
            yield f"a bridge may join {name} to {peer} now: ipcbus bridge {peer} {name}"
        else:
            yield f"you can be {invited.name} in {name} now"

    emit(found, human, as_json=as_json)


def use(invited: Invitation, line: str) -> Network:
    """Join the network of an invitation. If that fails, nothing is left of it."""
    is_new = _is_new(invited.network)
    key = None if is_new else find(invited.network).key_path(invited.name)
    had_key = key is not None and key.exists()
    try:
        return invitations.join_network(line)
    except (Refused, NoBroker) as error:
        if is_new:  # else the next command would find a network that lets nobody in
            _forget(invited.network)
        elif key is not None and not had_key and isinstance(error, Refused):
            key.unlink(missing_ok=True)
        raise


def _forget(name: str) -> None:
    with suppress(NoNetwork):  # it may have been refused before it was made
        shutil.rmtree(find(name).folder, ignore_errors=True)


def _is_new(name: str) -> bool:
    try:
        find(name)
    except NoNetwork:
        return True
    return False
