"""Carrying out what was understood, with the tools that models use.

Each action gives the answer of its tool, as a JSON object. A sentence can still turn
out to be unsure here: somebody is meant who is not there, and somebody is called
almost so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ipcbus.doors.language import doubts
from ipcbus.doors.language.intents import Intent, Unsure
from ipcbus.doors.text import age
from ipcbus.doors.tools.calls import run
from ipcbus.doors.tools.registry import MOST_WAIT_S
from ipcbus.errors import NothingThere, UnknownRecipient, UsageError
from ipcbus.protocol.address import fold
from ipcbus.protocol.messages import INFORM, REPLY, REQUEST

if TYPE_CHECKING:
    from ipcbus.client.words import Record
    from ipcbus.doors.tools.desk import Desk

Fields = Mapping[str, Any]

PIECE_BYTES: Final = 1 << 20
"""Of a body that is forwarded, at a time: a body has no more."""

LOOK_BACK: Final = 200
"""Messages that are looked through for the last one received."""


def carry_out(desk: Desk, intent: Intent) -> dict[str, Any] | Unsure:
    """What came of it. Raises what the tools raise, and `UsageError` for an intent
    that no desk can carry out (auto checking is a matter of hooks)."""
    action = _ACTIONS.get(intent.action)
    if action is None:
        raise UsageError(reason=f"{intent.action} is not for the bus to do")
    try:
        return action(desk, intent.fields)
    except UnknownRecipient as error:
        near = [*map(str, error.facts.get("near") or ())]
        if not near and not _can_be_left(intent):
            raise
        if not near:
            name = str(error.name)
            hint = f"; to have it wait, say: leave a message for {name}: ..."
            raise UnknownRecipient(**{**error.facts, "hint": hint}) from error
        return doubts.somebody_near(intent, str(error.name), near)


def _can_be_left(intent: Intent) -> bool:
    """Whether it is a message to a name that somebody may take one day."""
    to = str(intent.fields.get("to", "#"))
    return intent.action == "send" and to[:1] not in ("*", "#") and "@" not in to


# --- sending -------------------------------------------------------------------


def _send(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "send", dict(fields))


def _ask(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "ask", dict(fields))


def _reply(desk: Desk, fields: Fields) -> dict[str, Any]:
    asked = _last(desk, fields.get("agent")).header
    thread = asked.thread or asked.id
    said = {"text": fields["text"], "reply_to": asked.id, "thread": thread}
    to = fields.get("agent", asked.sender)
    return {**run(desk, "send", {"to": to, **said}), "to": to, "reply_to": asked.id}


def _forward(desk: Desk, fields: Fields) -> dict[str, Any]:
    record = _last(desk, fields.get("agent"))
    header = record.header
    text = f"{_introduced(record)}\n\n{_whole_text(desk, record)}"
    answer = run(desk, "send", {"to": fields["to"], "text": text})
    left = {"attachments_left": len(header.attachments)} if header.attachments else {}
    return {**answer, "forwarded": header.id, "from": header.sender, **left}


def _introduced(record: Record) -> str:
    header = record.header
    ago = age(max(0.0, time.time() - header.accepted_at / 1000))
    return f"Forwarded. {header.sender} wrote to {header.to}, {ago}:"


def _whole_text(desk: Desk, record: Record) -> str:
    """The text of a message, exactly. Raises `UsageError` if it is no text."""
    found = desk.client().show(record.header.id, body_limit=PIECE_BYTES).body
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        reason = f"message {record.header.id} is no text, and cannot be forwarded so"
        raise UsageError(reason=reason) from error


# --- the last message ------------------------------------------------------------


def _last(desk: Desk, sender: str | None) -> Record:
    """The newest message that was received and shown. Raises `NothingThere`.

    One that came in a moment ago and that nobody has looked at yet is not what "reply"
    means: it waits, and no reader holds it.
    """
    client = desk.client()
    page = client.peek(LOOK_BACK, body_limit=0)
    unseen = {record.header.id for record in page.records}
    past_them = page.records[-1].seq if page.more else None
    for record in _received(desk, sender):
        is_beyond = past_them is not None and record.seq > past_them
        if record.header.id not in unseen and not is_beyond:
            return record
    whose = f" from {sender}" if sender else ""
    raise NothingThere(reason=f"you have read no message{whose} that is still kept")


def _received(desk: Desk, sender: str | None) -> Iterator[Record]:
    """What others wrote, or one of them, the newest first."""
    client, me = desk.client(), fold(str(desk.agent))
    is_foreign = sender is not None and "@" in sender
    # The broker knows who was called so before; of foreign agents it keeps no list.
    other = None if is_foreign else sender
    for record in client.history(LOOK_BACK, other=other, body_limit=0).records:
        wrote = fold(record.header.sender)
        is_theirs = wrote == fold(str(sender)) if is_foreign else wrote != me
        if record.header.kind in (INFORM, REQUEST, REPLY) and is_theirs:
            yield record


# --- reading -----------------------------------------------------------------------


def _check(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "inbox", {})


def _wait(desk: Desk, fields: Fields) -> dict[str, Any]:
    """As long as was said, or as long as a tool waits."""
    end = time.monotonic() + fields.get("seconds", MOST_WAIT_S)
    while True:
        left = min(end - time.monotonic(), MOST_WAIT_S)
        answer = run(desk, "wait", {"timeout_s": max(1, round(left))})
        if answer["messages"] or time.monotonic() >= end:
            return answer


def _history(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "inbox", {"history": True, "with": fields.get("agent")})


def _search(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "inbox", {"search": fields["text"]})


# --- who is there --------------------------------------------------------------------


def _agents(desk: Desk, fields: Fields) -> dict[str, Any]:
    name = fields.get("agent")
    answer = run(desk, "agents", {"match": name})
    if name is not None:
        answer["agents"] = [
            each for each in answer["agents"] if fold(each["name"]) == fold(name)
        ]
    return answer


def _profile(argument: str | None, field: str = "") -> Callable[..., dict[str, Any]]:
    def act(desk: Desk, fields: Fields) -> dict[str, Any]:
        return run(desk, "profile", {argument: fields[field]} if argument else {})

    return act


def _status(desk: Desk, fields: Fields) -> dict[str, Any]:
    return run(desk, "status", {})


_ACTIONS: Final[Mapping[str, Callable[[Desk, Fields], dict[str, Any]]]] = {
    "send": _send,
    "ask": _ask,
    "reply": _reply,
    "forward": _forward,
    "check": _check,
    "wait": _wait,
    "history": _history,
    "search": _search,
    "agents": _agents,
    "register": _profile("name", "name"),
    "rename": _profile("rename", "name"),
    "join": _profile("join", "topic"),
    "leave": _profile("leave", "topic"),
    "whoami": _profile(None),
    "status": _status,
}
