"""`register` and `rename`: an agent's name and its key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ipcbus.doors.cli.options import member, operator
from ipcbus.doors.cli.output import emit, safe_line
from ipcbus.doors.cli.render import timestamp
from ipcbus.doors.cli.session import as_either, as_operator
from ipcbus.errors import Refused, UsageError
from ipcbus.networks import Network, choose
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
    chosen = choose(network)
    with as_either(chosen.name, agent) as client:
        carried = old or client.agent
        if carried is None:
            raise UsageError(reason="say OLD and NEW, or --as")
        with _key_moves(chosen, carried, new):
            renamed = client.rename(new, old)
    until = timestamp(renamed.forwards_until)
    emit(
        {"old": renamed.old, "new": renamed.new, "forwards_until": until},
        lambda: [
            f"{renamed.old} is now {renamed.new}; mail is forwarded until {until}"
        ],
        as_json=as_json,
    )


@contextmanager
def _key_moves(network: Network, old: str, new: str) -> Iterator[None]:
    """An agent's key is kept under its name: it goes along.

    It has both names while the broker is asked, so that it can be found whatever dies.
    """
    source, target = network.key_path(old), network.key_path(new)
    if source == target or not source.exists():
        yield
        return
    linked = not target.exists()
    if linked:
        target.hardlink_to(source)
    try:
        yield
    except Refused:
        if linked:
            target.unlink()
        raise
    if linked:
        source.unlink()
    else:
        source.replace(target)
