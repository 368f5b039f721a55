"""`watch`: messages as they come, each acked after it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, end_line, write
from ipcbus.doors.cli.reading import keeps_history
from ipcbus.doors.cli.render import is_long, lines
from ipcbus.doors.cli.session import as_member
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import View, document, of_message
from ipcbus.errors import UsageError
from ipcbus.networks import find
from ipcbus.protocol.messages import ACK

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.sync import Client

FULL: Final = "full"
LINE: Final = "line"

Show = Callable[["Message"], None]


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice([FULL, LINE]),
    default=FULL,
    help="With line, each message is one short line, and receipts are none.",
)
@click.option(
    "--notify", is_flag=True, help="Tell of each sender on the desktop as well."
)
@member
def watch(
    form: str, notify: bool, network: str | None, agent: str | None, as_json: bool
) -> None:
    """Show messages as they come.

    Ctrl-C ends it. With --json each message is one document on a line of its own. Each
    line of --format line starts a turn of an AI whose command line watches this.
    """
    if as_json and form == LINE:
        raise UsageError(reason="--json and --format line are two formats; say one")
    tell = _notifying() if notify else None
    with as_member(network, agent) as client:
        show = _in_lines(client) if form == LINE else _in_full(client, as_json=as_json)
        try:
            for message in client:
                show(message)
                message.ack()
                if tell is not None:
                    tell(message)
        except KeyboardInterrupt:
            end_line()


def _in_full(client: Client, *, as_json: bool) -> Show:
    def show(message: Message) -> None:
        view = of_message(message)
        whole = is_long(view) and not keeps_history(client)
        text = [*lines(view, whole=whole), ""]
        emit(document(view), text.__iter__, as_json=as_json)

    return show


def _in_lines(client: Client) -> Show:
    """A receipt wakes nobody: it is only counted on the next line."""
    from ipcbus.doors.notice import whole, words

    network = find(client.network)
    receipts = 0

    def show(message: Message) -> None:
        nonlocal receipts
        if message.kind == ACK:
            receipts += 1
            return
        view: View = of_message(message)
        kept = whole.keep(network, [view]).get(view.header.id)
        write(words.line(view, receipts, kept) + "\n")
        receipts = 0

    return show


def _notifying() -> Show:
    from ipcbus.doors.notice.desktop import notify, program

    command = program()

    def tell(message: Message) -> None:
        if message.kind != ACK:
            sender = safe_line(message.sender)
            notify(command, "ipcbus", f"{sender} wrote to {message.to}")

    return tell
