"""`send` and `broadcast`: the command that is used most; keep it light."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ipcbus.doors.cli.body import content, content_options, upload
from ipcbus.doors.cli.newcomers import said_to
from ipcbus.doors.cli.options import member, timeout_option
from ipcbus.doors.cli.output import emit, paint, safe_line
from ipcbus.doors.cli.session import CONFIRM_S, as_member
from ipcbus.errors import TimedOut, UsageError
from ipcbus.protocol.address import BROKER_NAME, Kind, fold, parse
from ipcbus.protocol.messages import ACK, INFORM, SENDABLE_KINDS

if TYPE_CHECKING:
    from ipcbus.client.message import Message, Receipt
    from ipcbus.client.sync import Client

SEND_TIMEOUT = 30.0

RELAYED, ACKED = "relayed", "acked"
"""How far a message may be waited for."""

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
    type=click.Choice([RELAYED, ACKED]),
    help="Return when the next network has it, or when its receiver has acked it.",
)
@content_options
@timeout_option(SEND_TIMEOUT, "How long to try, and to wait.")
@member
def send(
    to: str,
    body: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float,
    wanted: str | None,
    **options: Any,
) -> None:
    """Send a message.

    TO is an agent (bob), an agent of another network (bob@prod), a topic (#builds)
    or everyone (*). BODY is text, or - to read it from stdin. With --wait it ends with
    3 if the message did not come so far in time, and with 5 if it came back.
    """
    extra = {key: options.pop(key) for key in ("kind", "reply_to", "future")}
    message = {**content(body, **options), **extra}
    if wanted is None:
        deliver(to, network, agent, timeout, as_json, message)
    else:
        _deliver_and_wait(to, network, agent, timeout, as_json, message, wanted)


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


def _deliver_and_wait(
    to: str,
    network: str | None,
    agent: str | None,
    timeout: float,
    as_json: bool,
    message: dict[str, Any],
    wanted: str,
) -> None:
    """Send one message, wait for the word on it, and say how far it came."""
    address = parse(to)
    if address.kind not in (Kind.AGENT, Kind.FOREIGN):
        raise UsageError(reason="--wait is for mail to one agent")
    with as_member(network, agent, timeout=timeout) as client:
        message = {**upload(client, message), "timeout": timeout}
        is_local = fold(address.network or client.network) == fold(client.network)
        if wanted == RELAYED and is_local:  # there is no way to wait for
            receipt = said_to(client, to, client.send, message)
            found, text = document(receipt), [*lines(receipt)]
            text[0] += "  local"
        else:
            id_, state = _wait(client, to, message, wanted)
            found = {"id": id_, "state": state, "to": to}
            text = [f"{paint(state, 'green')}  to {safe_line(to)}  id {safe_line(id_)}"]
    emit(found, lambda: text, as_json=as_json)


def _wait(
    client: Client, to: str, message: dict[str, Any], wanted: str
) -> tuple[str, str]:
    """The id and how far it came. Raises `Bounced` if it came back, `TimedOut`."""
    asked = {**message, "receipt": wanted, "ack": False}
    try:
        answer: Message = said_to(client, to, client.ask, asked)
    except TimedOut as error:
        if error.what != "a reply":
            raise  # it was not even accepted
        what = f"word that {error.id} was {wanted} (it is accepted, and on its way)"
        seconds = error.seconds
        raise TimedOut(what=what, seconds=seconds, id=error.id) from error
    assert answer.reply_to is not None
    if answer.kind == ACK and answer.sender.partition("@")[0] == BROKER_NAME:
        answer.ack().result(CONFIRM_S)
        data = answer.data if isinstance(answer.data, dict) else {}
        return answer.reply_to, str(data.get("event", wanted))
    answer.release().result(CONFIRM_S)  # who replies has it, and the reply is mail
    return answer.reply_to, ACKED


def document(receipt: Receipt) -> dict[str, Any]:
    return {"id": receipt.id, "state": receipt.state, "to": receipt.to}


def lines(receipt: Receipt) -> Iterator[str]:
    state = paint(receipt.state, "green")
    before = "  (it was sent before)" if receipt.again else ""
    yield f"{state}  to {safe_line(receipt.to)}  id {receipt.id}{before}"
