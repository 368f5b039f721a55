"""From messages of the network to what `check` answers. PURE.

    {"from", "to", "timestamp", "message": {"content", "data"}, "id"}

An old program reads an answer with a single `recv(65536)`, so an answer is cut between
messages and the rest waits. Large messages are told by their beginning and a file.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from ipcbus_bridges.claude_ipc import names, wording
from ipcbus_bridges.claude_ipc.limits import AT_ONCE, DEFAULTS

LARGE: Final = 10 * 1024
"""Bytes of a content above which a reader gets a summary, and a file with the whole."""

SPARE: Final = 5_000
"""Bytes of an answer that one message leaves free; of one that would have more, the
data goes into the file, too, and what is told of the file has room."""

SENT_HEADER: Final = "claude-ipc-sent"
"""When a message that was moved in had been sent, in the words of the old server."""

MORE: Final = "claude-ipc-message.json"
"""An attachment with what an old program said beside the content, where it is more than
the data of a message may be."""

_SUMMARY: Final = re.compile(r"(?s)\s*(?:.*?[.!?](?=\s|\Z)\s*){1,2}")
_GLIMPSE: Final = 150
_SENTENCES: Final = 400


class Incoming(NamedTuple):
    """A message as it was delivered; times in UTC milliseconds."""

    id: str
    sender: str
    kind: str
    trust: str
    accepted_at: int
    body: str | bytes
    data: Any
    headers: dict[str, str]
    attachments: tuple[tuple[str, int], ...] = ()
    more: dict[str, Any] | None = None


class Entry(NamedTuple):
    """A message as old programs get it; `whole` is what its file must have, "" for
    none."""

    fields: dict[str, Any]
    whole: str | bytes = ""

    def packed(self) -> bytes:
        return json.dumps(self.fields).encode()


def timestamp(ms: int) -> str:
    """Local time without its zone, as the old server wrote it."""
    return datetime.fromtimestamp(ms / 1000).isoformat(timespec="microseconds")


def entry(
    message: Incoming, to: str, network: str, most: int = DEFAULTS.answer_size
) -> Entry:
    """`to` is the reader's name, `most` the bytes that an answer may have."""
    content, data = _words(message)
    sent_at = timestamp(message.accepted_at)
    old = message.headers.get(SENT_HEADER)
    if old is not None:
        sent_at, content = old, content.removeprefix(moved_line(old))
    said = {"content": content, **({"data": data} if data is not None else {})}
    said |= message.more or {}
    fields = {
        "from": _sender(message, network),
        "to": to,
        "timestamp": sent_at,
        "message": said,
        "id": message.id,
    }
    return _within_bounds(Entry(fields), message.body, most - SPARE)


def moved_line(sent_at: str) -> str:
    """What stands above a message that was moved in: nobody shall take it for new."""
    return f"[sent {sent_at} through claude-ipc, and moved in later]\n"


def _words(message: Incoming) -> tuple[str, Any]:
    body, data = message.body, message.data
    content = body if isinstance(body, str) else f"{len(body)} bytes that are no text."
    is_notice = message.trust == "broker" and isinstance(data, dict)
    if is_notice and data.get("event") == "renamed":
        old, new = str(data.get("old")), str(data.get("new"))
        content = wording.renamed_notice(names.to_old(old), names.to_old(new))
    for name, size in message.attachments:
        content += f"\n[attached: {name}, {size} bytes; save it: ipcbus show "
        content += f"{message.id} --save DIR]"
    return content, data


def _sender(message: Incoming, network: str) -> str:
    """Notices come from `system`; an agent that is called so is told in full."""
    if message.trust == "broker":
        return names.SYSTEM
    if message.sender.lower() in names.RESERVED:
        return f"{message.sender}@{network}"
    return names.to_old(message.sender)


def _within_bounds(whole: Entry, body: str | bytes, most: int) -> Entry:
    """The same with a summary, if it is too large to be shown, or no text."""
    said = whole.fields["message"]
    content: str = said["content"]
    if isinstance(body, bytes):
        return Entry(whole.fields, body)
    is_large = len(content.encode()) > LARGE
    if not is_large and len(whole.packed()) <= most:
        return whole
    short = summary(content)
    told = Entry(dict(whole.fields, message={**said, "content": short}), content)
    if is_large and len(told.packed()) <= most:
        return told
    rest = {key: value for key, value in said.items() if key != "content"}
    text = f"{content}\n\n## Data\n{json.dumps(rest, indent=1)}\n" if rest else content
    return Entry(dict(whole.fields, message={"content": short}), text)


def with_file(large: Entry, path: str, size: int) -> Entry:
    """A large message, once its file is there."""
    said = large.fields["message"]
    data = said.get("data")
    data = dict(data) if isinstance(data, dict) else ({"data": data} if data else {})
    data |= {"large_message_file": path, "original_size_kb": round(size / 1024, 1)}
    content = f"{said['content']} Full content saved to: {path}"
    return Entry(dict(large.fields, message={**said, "content": content, "data": data}))


def without_file(large: Entry) -> Entry:
    """A large message whose file cannot be written."""
    said = large.fields["message"]
    hint = f"Full content: ipcbus show {large.fields['id']}"
    content = f"{said['content']} {hint}"
    return Entry(dict(large.fields, message={**said, "content": content}))


def summary(content: str) -> str:
    """Its first two sentences, or how it begins."""
    found = _SUMMARY.match(content[:_SENTENCES])
    if found is not None and len(found[0].strip()) > 10:
        return found[0].strip()
    text = content[:_GLIMPSE].strip()
    return f"{text}..." if len(content) > _GLIMPSE else text


class Page:
    """An answer to `check` that is being filled, with at most `most` bytes; beyond
    those that come at once, only a message that is alone in it."""

    def __init__(self, most: int = DEFAULTS.answer_size) -> None:
        self._most = most
        self._entries: list[bytes] = []
        self._size = len(self.packed(2**63))

    @property
    def room(self) -> int:
        """Bytes that another message may have."""
        most = min(self._most, AT_ONCE) if self._entries else self._most
        return most - self._size - 2

    def add(self, packed: bytes) -> bool:
        """Whether there was room."""
        if len(packed) > self.room:
            return False
        self._entries.append(packed)
        self._size += len(packed) + 2
        return True

    def packed(self, remaining: int) -> bytes:
        """`remaining`: how many wait for the next `check`."""
        head = b'{"status": "ok", "messages": ['
        tail = b'], "remaining": %d}' % remaining
        return head + b", ".join(self._entries) + tail


def listing(rows: list[tuple[str, str]], most: int = DEFAULTS.answer_size) -> bytes:
    """The answer to `list`: names, and when each was seen last, the latest first. What
    does not fit is left out, and counted."""
    found = [
        json.dumps({"id": name, "last_seen": seen}).encode() for name, seen in rows
    ]
    room, fitted = most - 100, 0
    while fitted < len(found) and (room := room - len(found[fitted]) - 2) >= 0:
        fitted += 1
    head, left = b'{"status": "ok", "instances": [', len(found) - fitted
    more = b', "left_out": %d' % left if left else b""
    return head + b", ".join(found[:fitted]) + b"]" + more + b"}"
