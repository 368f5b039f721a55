"""`watch`: messages as they come, each acked after it was written."""

from __future__ import annotations

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, end_line
from ipcbus.doors.cli.reading import keeps_history
from ipcbus.doors.cli.render import is_long, lines
from ipcbus.doors.cli.session import as_member
from ipcbus.doors.view import document, of_message


@click.command()
@member
def watch(network: str | None, agent: str | None, as_json: bool) -> None:
    """Show messages as they come.

    Ctrl-C ends it. With --json each message is one document on a line of its own.
    """
    with as_member(network, agent) as client:
        try:
            for message in client:
                view = of_message(message)
                whole = is_long(view) and not keeps_history(client)
                text = [*lines(view, whole=whole), ""]
                emit(document(view), text.__iter__, as_json=as_json)
                message.ack()
        except KeyboardInterrupt:
            end_line()
