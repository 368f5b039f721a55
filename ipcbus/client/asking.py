"""Parts of `ask` and `fetch` that do not depend on how one waits."""

from __future__ import annotations

from typing import Any, TypedDict

from ipcbus.client.intake import Fetch
from ipcbus.client.message import Attachment, BaseMessage, Outgoing
from ipcbus.client.sayable import end_of, lease_ms, whole
from ipcbus.errors import Bounced
from ipcbus.protocol import limits
from ipcbus.protocol.messages import BOUNCE, REQUEST


class Options(TypedDict, total=False):
    """What can be said of a message beside `to` and `body`; see `Outgoing`."""

    data: Any
    kind: str
    thread: str | None
    reply_to: str | None
    ttl: float | None
    priority: int
    id: str | None
    future: bool
    attach: tuple[Attachment, ...]
    content_type: str | None
    labels: tuple[str, ...]
    headers: dict[str, str] | None
    receipt: str | None


def question(
    to: str, body: str | bytes, options: Options, fresh_id: str
) -> tuple[Outgoing, str]:
    """A request, and its id."""
    outgoing = Outgoing(to, body, **{"kind": REQUEST, **options})  # type: ignore[arg-type]
    if outgoing.id is None:
        outgoing = outgoing._replace(id=fresh_id)
    assert outgoing.id is not None
    return outgoing, outgoing.id


def reply_from(message: BaseMessage, *, ack: bool) -> BaseMessage:
    """The reply, acked if wanted. Raises `Bounced` for a bounce, which is done then."""
    if message.kind == BOUNCE:
        message.ack()
        data = message.data if isinstance(message.data, dict) else {}
        facts = {key: data.get(key, "?") for key in ("id", "to", "status", "reason")}
        raise Bounced(**facts)
    if ack:
        message.ack()
    return message


SLACK_S = 5.0
"""What a fetch may take beyond its timeout before the broker is called late."""


def fetch_s(timeout: float) -> float:
    return max(0.0, timeout) + SLACK_S


def new_fetch(most: int, most_bytes: int | None, lease: float, timeout: float) -> Fetch:
    """Raises `InvalidMessage` for what cannot be asked for."""
    most = whole("max", most, 1, limits.MAX_CREDIT)
    size = limits.MAX_CREDIT_BYTES
    if most_bytes is not None:
        size = whole("max_bytes", most_bytes, 0, limits.MAX_UINT)
    return Fetch(most, size, lease_ms(lease), end_of(timeout))
