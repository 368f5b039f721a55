"""A message as people see it.

    alice@dev  foreign, by dev > prod, 2 hops  ·  request  ·  3 min ago  ·  thread t-17
    id 01hv...  to bob  in prod  attempt 2
      | the build is red
      | could you look?

Who wrote is told by the broker and stands in the margin; what was written stands
behind a bar, each line of it, so that no text can pass for another message's head.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from ipcbus.client.message import hop_names
from ipcbus.doors.cli.output import line_room, paint
from ipcbus.doors.text import LONG, age, beginning, safe, safe_line, size
from ipcbus.doors.view import View
from ipcbus.protocol.messages import TRUST_FOREIGN, Header

BAR: Final = "  | "
"""What stands before each line that a peer wrote."""


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
