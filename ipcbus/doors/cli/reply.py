"""`reply` and, in `ask`, its counterpart: a conversation by id."""

from __future__ import annotations

from typing import Any

import click

from ipcbus.doors.cli.body import content, upload
from ipcbus.doors.cli.options import content_options, member, timeout_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.sending import SEND_TIMEOUT, document, lines
from ipcbus.doors.cli.session import as_member
from ipcbus.protocol.messages import REPLY


@click.command()
@click.argument("message_id", metavar="ID")
@click.argument("body", nargs=-1)
@content_options
@timeout_option(SEND_TIMEOUT, "How long to try.")
@member
def reply(
    message_id: str,
    body: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float,
    **options: Any,
) -> None:
    """Answer a message.

    The answer goes to its sender, in its thread. ID is the message's; BODY is text, or
    - to read it from stdin.
    """
    message = content(body, **options)
    with as_member(network, agent, timeout=timeout) as client:
        asked = client.show(message_id, body_limit=0).header
        message = {"thread": asked.thread or asked.id, **upload(client, message)}
        receipt = client.send(
            asked.sender, kind=REPLY, reply_to=asked.id, timeout=timeout, **message
        )
    emit(document(receipt), lambda: lines(receipt), as_json=as_json)
