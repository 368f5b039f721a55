"""`join-network`: use an invitation; the network is known on this machine then."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from ipcbus.client import invitations
from ipcbus.client.invitations import Invitation
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, remark
from ipcbus.errors import NoBroker, NoNetwork, Refused, UsageError
from ipcbus.networks import Network, find

MOST: Final = 4096
"""Letters of an invitation; they have about 400."""


@click.command("join-network")
@click.argument("invitation", required=False)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="A file that holds the invitation.",
)
@json_option
def join_network(invitation: str | None, file: Path | None, as_json: bool) -> None:
    """Use an invitation on this machine.

    The invitation is the line that `ipcbus invite` printed. It is asked for, or read
    from stdin or a file. It can be given as INVITATION, but should not: it is a secret,
    and other users of this machine can see the command line.
    """
    line = _line(invitation, file)
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


def _line(given: str | None, file: Path | None) -> str:
    if file is not None:
        if given is not None:
            raise UsageError(reason="give an invitation or --file, not both")
        return from_file(file)
    if given in (None, "-"):
        return from_stdin()
    remark(
        "others on this machine may have seen this invitation, for all users can see "
        "command lines; leave it out to be asked for it, or use stdin or --file"
    )
    return given


def from_stdin() -> str:
    """A line that is a secret: a terminal does not show it."""
    if sys.stdin is None:
        raise UsageError(reason="stdin is closed, and the invitation is read from it")
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(MOST).decode("ascii", "replace")
    from getpass import getpass

    with suppress(EOFError):
        return getpass("The invitation (it is not shown): ", sys.stderr)
    return ""


def from_file(file: Path) -> str:
    try:
        with file.open(encoding="ascii", errors="replace") as stream:
            return stream.read(MOST)
    except OSError as error:
        raise UsageError(reason=f"cannot read {file}: {error.strerror}") from error


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
