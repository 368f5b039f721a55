"""`send` and `broadcast`: the command that is used most; keep it light."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ipcbus.doors.cli.body import content, content_options, upload
from ipcbus.doors.cli.newcomers import said_to
from ipcbus.doors.cli.options import member, timeout_option
from ipcbus.doors.cli.output import emit, paint, safe_line
from ipcbus.doors.cli.session import as_member
from ipcbus.protocol.messages import INFORM, SENDABLE_KINDS

if TYPE_CHECKING:
    from ipcbus.client.message import Receipt

SEND_TIMEOUT = 30.0

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
@content_options
@timeout_option(SEND_TIMEOUT, "How long to try.")
@member
def send(
    to: str,
    body: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float,
    **options: Any,
) -> None:
    """Send a message.

    TO is an agent (bob), an agent of another network (bob@prod), a topic (#builds)
    or everyone (*). BODY is text, or - to read it from stdin.
    """
    extra = {key: options.pop(key) for key in ("kind", "reply_to", "future")}
    deliver(to, network, agent, timeout, as_json, {**content(body, **options), **extra})


@click.command()
@click.argument("body", nargs=-1)
@_KIND
@content_options
@timeout_option(SEND_TIMEOUT, "How long to try.")
@member
def broadcast(
    body: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float,
    kind: str,
    **options: Any,
) -> None:
    """Send a message to everyone but yourself."""
    message = {**content(body, **options), "kind": kind}
    deliver("*", network, agent, timeout, as_json, message)


def deliver(
    to: str,
    network: str | None,
    agent: str | None,
    timeout: float,
    as_json: bool,
    message: dict[str, Any],
) -> None:
    """Send one message and say what became of it."""
    with as_member(network, agent, timeout=timeout) as client:
        message = {**upload(client, message), "timeout": timeout}
        receipt = said_to(client, to, client.send, message)
    emit(document(receipt), lambda: lines(receipt), as_json=as_json)


def document(receipt: Receipt) -> dict[str, Any]:
    return {"id": receipt.id, "state": receipt.state, "to": receipt.to}


def lines(receipt: Receipt) -> Iterator[str]:
    state = paint(receipt.state, "green")
    before = "  (it was sent before)" if receipt.again else ""
    yield f"{state}  to {safe_line(receipt.to)}  id {receipt.id}{before}"
