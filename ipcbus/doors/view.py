"""A message as all doors see it, delivered or of the past, and its JSON."""

from __future__ import annotations

from base64 import b64encode
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from ipcbus.client.message import hop_names, is_text
from ipcbus.protocol.messages import Header, Meta

if TYPE_CHECKING:
    from ipcbus.client.message import BaseMessage
    from ipcbus.client.words import Record


class View(NamedTuple):
    """What is to be shown of a message, delivered or of the past.

    Attributes:
        size: bytes of the whole body; `body` may be the beginning of it only.
        attempt: None if it is no delivery.
        extra: more for the JSON.
    """

    header: Header
    meta: Meta
    body: str | bytes
    size: int
    network: str
    age_s: float
    attempt: int | None
    extra: dict[str, Any]


def of_message(message: BaseMessage) -> View:
    """A delivery."""
    meta = Meta(
        message.content_type, list(message.labels), message.data, message.headers
    )
    whole = len(message.raw_body)
    return View(
        message.header,
        meta,
        message.body,
        whole,
        message.network,
        message.age_s,
        message.attempt,
        {},
    )


def of_record(record: Record, network: str) -> View:
    """A message of the past, or one that waits."""
    extra: dict[str, Any] = {"seq": record.seq, "state": record.state}
    if len(record.body) < record.size:
        extra |= {"truncated": True, "size": record.size}
    age_s = max(0.0, time() - record.header.accepted_at / 1000)
    body = _text(record)
    size_ = record.size
    return View(record.header, record.meta, body, size_, network, age_s, None, extra)


def _text(record: Record) -> str | bytes:
    """As `Message.body`, but a text that is cut may be cut within a letter."""
    kind = record.meta.content_type
    if kind is not None and not is_text(kind):
        return record.body
    cut = len(record.body) < record.size
    try:
        return record.body.decode(errors="ignore" if cut else "strict")
    except UnicodeDecodeError:
        return record.body


def timestamp(ms: int) -> str:
    """UTC milliseconds as ISO 8601."""
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(ms // 1000))}.{ms % 1000:03d}Z"


# --- for programs ----------------------------------------------------------------


def document(view: View) -> dict[str, Any]:
    """The JSON of a message. What is only there at times comes after `attachments`."""
    header, body = view.header, view.body
    found: dict[str, Any] = {
        "id": header.id,
        "from": header.sender,
        "to": header.to,
        "network": view.network,
        "kind": header.kind,
        "body": body if isinstance(body, str) else b64encode(body).decode(),
        "data": view.meta.data,
        "thread": header.thread,
        "reply_to": header.reply_to,
        "priority": header.priority,
        "accepted_at": timestamp(header.accepted_at),
        "age_s": round(view.age_s, 3),
        "attempt": view.attempt,
        "trust": header.trust,
        "hops": list(hop_names(header)),
        "attachments": [
            dict(zip(("sha256", "size", "name", "content_type"), row, strict=True))
            for row in header.attachments or ()
        ],
    }
    if isinstance(body, bytes):
        found["encoding"] = "base64"
    if header.expires_at is not None:
        found["expires_at"] = timestamp(header.expires_at)
    for name in ("content_type", "labels", "headers"):
        if value := getattr(view.meta, name):
            found[name] = value
    return found | view.extra
