"""`ask`: a request and its answer, as one command."""

from __future__ import annotations

from typing import Any

import click

from ipcbus.doors.cli.body import content, upload
from ipcbus.doors.cli.newcomers import said_to
from ipcbus.doors.cli.options import content_options, member, timeout_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.render import lines
from ipcbus.doors.cli.session import as_member, confirm
from ipcbus.doors.view import document, of_message


@click.command()
@click.argument("to")
@click.argument("body", nargs=-1)
@content_options
@timeout_option(60.0, "How long to wait for the answer.")
@member
def ask(
    to: str,
    body: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float,
    **options: Any,
) -> None:
    """Send a request and wait for its answer.

    The answer is acked once it was written. Ends with 3 if none came in time; one that
    comes later is in the mailbox.
    """
    message = content(body, **options)
    with as_member(network, agent) as client:
        message = {**upload(client, message), "timeout": timeout, "ack": False}
        answer = said_to(client, to, client.ask, message)
        view = of_message(answer)
        emit(document(view), lambda: lines(view, whole=True), as_json=as_json)
        confirm(client, [answer])
