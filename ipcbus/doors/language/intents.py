"""What was understood, and how to say it plainly.

`plainly` is the way back: the sentence that it gives is read as the same intent. It is
what a person is told to type when theirs had several readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ipcbus.doors.language.lists import NO_NAMES

Mended = tuple[tuple[str, str], ...]


class Intent(NamedTuple):
    """One thing to do.

    Attributes:
        action: a row of the table below.
        fields: what to do it with. `to` is an address, `text` a slice of the sentence.
        mended: words that were misspelt, as (typed, meant).
    """

    action: str
    fields: Mapping[str, Any]
    mended: Mended = ()

    @property
    def meaning(self) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """What two sentences have in common that say the same."""
        return self.action, tuple(sorted(self.fields.items()))


class Unsure(NamedTuple):
    """A sentence that is not carried out.

    Attributes:
        reason: a stable word for why: unknown, two_readings, negation, question,
            condition, receiver, several, name, no_text, one_only, time.
        says: why, for people.
        could_be: what it may have meant.
        examples: what to type instead.
    """

    reason: str
    says: str
    could_be: tuple[Intent, ...] = ()
    examples: tuple[str, ...] = ()


_PLAIN: Final[Mapping[str, str]] = {
    "register": "register as {name}",
    "rename": "rename to {name}",
    "ask": "ask {to}:{text}",
    "check": "check messages",
    "agents": "list agents",
    "whoami": "who am i",
    "status": "status",
    "history": "show history",
    "search": "search for{text}",
    "help": "help",
    "join": "join {topic}",
    "leave": "leave {topic}",
    "forward": "forward to {to}",
    "auto_stop": "stop auto checking",
    "auto_status": "auto check status",
}

_WITH: Final[Mapping[tuple[str, str], str]] = {
    ("agents", "agent"): "is {agent} online",
    ("history", "agent"): "show history with {agent}",
    ("forward", "agent"): "forward the last message from {agent} to {to}",
}
"""The same with a field that may be missing."""

ACTIONS: Final = frozenset({*_PLAIN, "send", "reply", "wait", "auto_start"})


def plainly(intent: Intent) -> str:
    """The plain sentence for `intent`."""
    fields = {key: _said(key, value) for key, value in intent.fields.items()}
    form = _form(intent)
    return form.format_map(fields)


def _form(intent: Intent) -> str:
    action, fields = intent.action, intent.fields
    if action == "send":
        return _sending(fields)
    if action == "reply":
        return "reply to {agent}:{text}" if "agent" in fields else "reply:{text}"
    if action == "wait":
        return "wait for messages {seconds}" if "seconds" in fields else "wait"
    if action == "auto_start":
        every = " every {seconds}" if fields.get("seconds") else ""
        return f"start auto checking{every}"
    found = [_WITH[action, key] for key in fields if (action, key) in _WITH]
    return found[0] if found else _PLAIN[action]


def _sending(fields: Mapping[str, Any]) -> str:
    if fields["to"] == "*":
        return "broadcast:{text}"
    if fields["to"][:1] == "#":
        return "post to {to}:{text}"
    return (
        "leave a message for {to}:{text}" if "future" in fields else "tell {to}:{text}"
    )


def _said(key: str, value: Any) -> str:
    if key == "text":
        # A blank at its beginning is the text's own only on a line of its own.
        return f"\n{value}" if value[:1].isspace() else f" {value}"
    if key == "seconds":
        return _duration(value)
    if key in ("to", "agent", "name"):
        return _named(value)
    return str(value)


def _named(name: str) -> str:
    """A name so that it is taken for one, and whole."""
    given = f"@{name}" if name.lower() in NO_NAMES else name
    return f'"{given}"' if name.endswith(".") else given


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} seconds"
