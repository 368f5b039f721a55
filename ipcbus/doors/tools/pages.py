"""Messages as a model sees them: short, framed, bounded.

The frame is JSON: no text can leave the string that it stands in, and control, bidi
and tag characters are escaped before. Who wrote it, how far that is proved and how old
it is come from the broker. A long text is shown by its beginning and how to read on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ipcbus.client.words import Record
from ipcbus.doors.text import LONG, age, beginning, safe, safe_line, size
from ipcbus.doors.view import View
from ipcbus.protocol.address import fold
from ipcbus.protocol.messages import INFORM, TRUST_FOREIGN

PAGE_BYTES: Final = 12 * 1024
"""Bytes of bodies on a page, about 3,000 tokens; one message always comes."""

READ_BYTES: Final = 16 * 1024
"""Bytes of one long body that are shown at a time."""

PAUSED: Final = "a person has stopped deliveries"
"""Why there is no mail although some waits."""

DATA_BYTES: Final = 1024
"""Of the structured data of a message, as JSON; longer is only named."""


def compact(view: View, reader: str | None, *, wide: bool) -> dict[str, Any]:
    """A message in as few words as say it. `wide`: the network must be said."""
    header = view.header
    found: dict[str, Any] = {"id": header.id, "from": safe_line(header.sender)}
    if reader is None or fold(header.to) != fold(reader):
        found["to"] = safe_line(header.to)
    if wide:
        found["network"] = view.network
    found["trust"] = header.trust
    if header.trust == TRUST_FOREIGN:
        found["hops"] = len(header.hops or ())
    if header.kind != INFORM:
        found["kind"] = header.kind
    found["age"] = age(view.age_s)
    for name in ("thread", "reply_to"):
        if value := getattr(header, name):
            found[name] = safe_line(value)
    if (view.attempt or 0) > 1:
        found["seen_before"] = True
    if state := view.extra.get("state"):
        found["state"] = state
    return found | _content(view)


def _content(view: View) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if view.meta.data is not None:
        data = safe_data(view.meta.data)
        found["data"] = data if len(json.dumps(data)) <= DATA_BYTES else "(long)"
    if attached := view.header.attachments:
        found["attachments"] = [
            f"{safe_line(row[2])} ({size(row[1])})" for row in attached
        ]
    if isinstance(view.body, bytes):
        kind = view.meta.content_type or "unknown type"
        found["text"] = f"({size(view.size)} of {safe_line(kind)})"
    elif view.size > LONG or view.extra.get("truncated"):
        found["text"] = safe(beginning(view.body))
        found["more"] = f"{size(view.size)} in all; read it with inbox read"
    else:
        found["text"] = safe(view.body)
    return found


def safe_data(data: Any) -> Any:
    """Structured data with every text in it made harmless."""
    if isinstance(data, str):
        return safe(data)
    if isinstance(data, dict):
        return {safe_line(str(key)): safe_data(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [safe_data(value) for value in data]
    if isinstance(data, bytes):
        return f"({size(len(data))})"
    return data


def fitting(views: Sequence[View]) -> int:
    """How many of these one page has room for; at least one."""
    room = PAGE_BYTES
    for count, view in enumerate(views):
        room -= min(len(view.body), LONG)
        if room < 0 and count:
            return count
    return len(views)


def piece(record: Record, offset: int) -> tuple[str, int | None]:
    """The text of a part of a body that begins at `offset`, and where the next one
    begins; None after the last. A letter is never cut in two."""
    body = record.body
    end = offset + len(body)
    is_last = len(body) >= record.size  # which counts from the offset as well
    try:
        text = body.decode(errors="strict")
    except UnicodeDecodeError as error:
        if is_last or error.start < len(body) - 3:
            text = body.decode(errors="replace")
        else:
            text, end = body[: error.start].decode(), offset + error.start
    return safe(text), None if is_last else end
