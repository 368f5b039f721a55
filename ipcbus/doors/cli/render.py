"""A message, as JSON and as people see it.

    alice@dev  foreign, by dev > prod, 2 hops  ·  request  ·  3 min ago  ·  thread t-17
    id 01hv...  to bob  in prod  attempt 2
      | the build is red
      | could you look?

Who wrote is told by the broker and stands in the margin; what was written stands
behind a bar, each line of it, so that no text can pass for another message's head.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.client.message import hop_names, is_text
from ipcbus.doors.cli.output import age, line_room, paint, safe, safe_line, size
from ipcbus.protocol.messages import TRUST_FOREIGN, Header, Meta

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.words import Record

LONG: Final = 10 * 1024
"""Bytes of a body above which only its beginning is shown to people."""

BAR: Final = "  | "
"""What stands before each line that a peer wrote."""

_SENTENCES: Final = r"(?s)(?:.*?[.!?](?:\s|\Z)){1,2}"
_GLIMPSE: Final = 400


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


def of_message(message: Message) -> View:
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


# --- for people ------------------------------------------------------------------


def lines(view: View, *, whole: bool = False) -> Iterator[str]:
    """The message; a long body only by its beginning unless `whole`."""
    yield from _head(view)
    for line in _body(view, whole=whole):
        for part in _fold(line):
            yield paint(BAR, "dim") + part
    if view.meta.data is not None:
        yield f"  data {safe_line(json.dumps(view.meta.data))}"
    for _, length, name, _ in view.header.attachments or ():
        what = f"{safe_line(name)} ({size(length)})"
        yield f"  attachment {what}: ipcbus show {view.header.id} --save DIR"


def _head(view: View) -> Iterator[str]:
    header = view.header
    facts = [header.kind, age(view.age_s)]
    if header.thread:
        facts.append(f"thread {header.thread}")
    facts += [f"[{label}]" for label in view.meta.labels or ()]
    sender = paint(safe_line(header.sender), "bold")
    rest = "  ·  ".join(safe_line(fact) for fact in facts)
    yield f"{sender}  {_trust(header)}  ·  {rest}"
    more = f"id {header.id}  to {header.to}  in {view.network}"
    if header.reply_to:
        more += f"  answers {header.reply_to}"
    if "state" in view.extra:
        more += f"  {view.extra['state']}"
    if (view.attempt or 0) > 1:
        more += f"  attempt {view.attempt}"
    yield paint(safe_line(more), "dim")


def _trust(header: Header) -> str:
    if header.trust == TRUST_FOREIGN:
        hops = hop_names(header)
        way = " > ".join(hops) or "another network"
        count = "1 hop" if len(hops) == 1 else f"{len(hops)} hops"
        return paint(safe_line(f"foreign, by {way}, {count}"), "yellow")
    return paint(safe_line(header.trust), "green")


def _body(view: View, *, whole: bool) -> Iterator[str]:
    body, id_ = view.body, view.header.id
    if isinstance(body, bytes):
        kind = safe_line(view.meta.content_type or "unknown type")
        yield f"({size(view.size)}, {kind}: ipcbus show {id_} --out FILE)"
    elif is_long(view) and not whole:
        yield from _split(beginning(body))
        yield f"... {size(view.size)} in all; read it with: ipcbus show {id_}"
    elif body:
        yield from _split(body)


def is_long(view: View) -> bool:
    """Whether people are shown only the beginning of the body."""
    return isinstance(view.body, str) and view.size > LONG


def _split(text: str) -> list[str]:
    return safe(text.replace("\r\n", "\n")).split("\n")


def _fold(line: str) -> Iterator[str]:
    """On a terminal, break a line ourselves: the terminal's own break goes back to
    the left edge, where padded text could pass for the head of a message."""
    room = line_room(len(BAR))
    if room is None:
        yield line
        return
    line, start, used = line.expandtabs(4), 0, 0
    for place, letter in enumerate(line):
        width = 1 if letter.isascii() else 2  # at most; few letters are wider
        if used + width > room:
            yield line[start:place]
            start, used = place, 0
        used += width
    yield line[start:]


def beginning(text: str) -> str:
    """The first two sentences, within bounds."""
    found = re.match(_SENTENCES, text[:_GLIMPSE])
    return (found[0] if found else text[:_GLIMPSE]).strip()
