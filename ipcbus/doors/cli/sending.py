"""What `send` and `broadcast` do. Kept light: a send is what is done most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ipcbus.doors.cli.body import content, upload
from ipcbus.doors.cli.newcomers import said_to
from ipcbus.doors.cli.output import emit, paint
from ipcbus.doors.cli.session import CONFIRM_S, as_member
from ipcbus.doors.text import safe_line
from ipcbus.errors import TimedOut, UsageError
from ipcbus.protocol.address import BROKER_NAME, Kind, fold, parse
from ipcbus.protocol.messages import ACK

if TYPE_CHECKING:
    from ipcbus.client.message import Message, Receipt
    from ipcbus.client.sync import Client

SEND_TIMEOUT: Final = 30.0

RELAYED, ACKED = "relayed", "acked"
"""How far a message may be waited for."""


def send(
    to: str,
    *body: str,
    network: str | None = None,
    agent: str | None = None,
    as_json: bool = False,
    timeout: float = SEND_TIMEOUT,
    wanted: str | None = None,
    **options: Any,
) -> None:
    """Send a message; if `wanted`, wait for that. The options are `body.content`'s."""
    message = content(body, **options)
    if wanted is None:
        deliver(to, network, agent, timeout, as_json, message)
    else:
        _deliver_and_wait(to, network, agent, timeout, as_json, message, wanted)


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
