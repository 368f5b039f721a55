"""`send` and `broadcast`: their options. What they do is in `sending`."""

from __future__ import annotations

from typing import Any

import click

from ipcbus.doors.cli import sending
from ipcbus.doors.cli.options import content_options, member, timeout_option
from ipcbus.protocol.messages import INFORM, SENDABLE_KINDS

_KIND = click.option(
    "--kind",
    type=click.Choice(sorted(SENDABLE_KINDS)),
    default=INFORM,
    help="What it is; inform by default.",
)


@click.command()
@click.argument("to")
@click.argument("body", nargs=-1)
@_KIND
@click.option("--reply-to", metavar="ID", help="The message that this one answers.")
@click.option("--future", is_flag=True, help="Wait for a name that nobody has yet.")
@click.option(
    "--wait",
    "wanted",
    type=click.Choice([sending.RELAYED, sending.ACKED]),
    help="Return when the next network has it, or when its receiver has acked it.",
)
@content_options
@timeout_option(sending.SEND_TIMEOUT, "How long to try, and to wait.")
@member
def send(to: str, body: tuple[str, ...], **options: Any) -> None:
    """Send a message.

    TO is an agent (bob), an agent of another network (bob@prod), a topic (#builds)
    or everyone (*). BODY is text, or - to read it from stdin. With --wait it ends with
    3 if the message did not come so far in time, and with 5 if it came back.
    """
    sending.send(to, *body, **options)


@click.command()
@click.argument("body", nargs=-1)
@_KIND
@content_options
@timeout_option(sending.SEND_TIMEOUT, "How long to try.")
@member
def broadcast(body: tuple[str, ...], **options: Any) -> None:
    """Send a message to everyone but yourself."""
    sending.send("*", *body, **options)
