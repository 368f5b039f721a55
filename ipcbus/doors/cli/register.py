"""`register` and `rename`: an agent's name and its key."""

from __future__ import annotations

import click

from ipcbus.doors.cli.options import member, operator
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.session import as_either, as_operator
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import timestamp
from ipcbus.networks import choose
from ipcbus.transport import keys


@click.command()
@click.argument("name")
@operator
def register(name: str, network: str | None, as_json: bool) -> None:
    """Give an agent its name and its key.

    For a network of your own this is needless: the first use of --as NAME does it.
    """
    chosen = choose(network)
    with as_operator(chosen.name) as client:
        pair = keys.create(chosen.key_path(name))
        (given, created), _ = client.call("register", name, pair.public)
    what = "registered" if created else "was registered before"
    emit(
        {"name": given, "network": chosen.name, "created": created},
        lambda: [f"{safe_line(given)} {what} in {chosen.name}"],
        as_json=as_json,
    )


@click.command()
@click.argument("names", metavar="[OLD] NEW", nargs=-1, required=True)
@member
def rename(
    names: tuple[str, ...], network: str | None, agent: str | None, as_json: bool
) -> None:
    """Change the name of an agent.

    The agent itself (--as) says NEW; the operator OLD NEW. Mail to the old name is
    forwarded for a while.
    """
    if len(names) > 2:
        raise click.UsageError("rename takes [OLD] NEW")
    old, new = names if len(names) == 2 else (None, names[0])
    with as_either(network, agent) as client:
        renamed = client.rename(new, old)
    until = timestamp(renamed.forwards_until)
    emit(
        {"old": renamed.old, "new": renamed.new, "forwards_until": until},
        lambda: [
            f"{renamed.old} is now {renamed.new}; mail is forwarded until {until}"
        ],
        as_json=as_json,
    )
