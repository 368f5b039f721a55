"""Parts of `ask` and `fetch` that do not depend on how one waits."""

from __future__ import annotations

import time
from typing import Any, TypedDict

from ipcbus.client.intake import Fetch
from ipcbus.client.message import Attachment, BaseMessage, Outgoing
from ipcbus.errors import Bounced, InvalidMessage
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


def new_fetch(most: int, most_bytes: int | None, lease: float, timeout: float) -> Fetch:
    """Raises `InvalidMessage` for what cannot be asked for."""
    if not 0 < most <= limits.MAX_CREDIT:
        reason = f"must be 1 to {limits.MAX_CREDIT}"
        raise InvalidMessage(field="max", reason=reason)
    size = limits.MAX_CREDIT_BYTES if most_bytes is None else most_bytes
    return Fetch(most, size, lease_ms(lease), time.monotonic() + timeout)


def end_of(timeout: float | None) -> float:
    """The time of the monotonic clock in `timeout` seconds; None is never."""
    return float("inf") if timeout is None else time.monotonic() + timeout


def lease_ms(lease: float) -> int:
    ms = int(lease * 1000)
    if not limits.MIN_LEASE_MS <= ms <= limits.MAX_LEASE_MS:
        low, high = limits.MIN_LEASE_MS // 1000, limits.MAX_LEASE_MS // 1000
        raise InvalidMessage(field="lease", reason=f"must be {low} to {high} seconds")
    return ms
