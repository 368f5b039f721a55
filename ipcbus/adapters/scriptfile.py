"""The file of a script: what it may hold, and where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ipcbus.config import document
from ipcbus.config.document import Item
from ipcbus.config.kinds import Choice, Count, Kind
from ipcbus.config.reading import Place, mapping, values

FAILURES: Final = ("failed", "overloaded", "key", "too_long")

_MOST_TIMES: Final = 1_000_000
_LONGEST_S: Final = 3600.0


class Reply(NamedTuple):
    """One entry of `replies`.

    Attributes:
        sender, when: patterns for who wrote and what.
        calls: names of tools and their arguments.
        after_s: seconds before it answers.
        fail: one of `FAILURES`; empty: it does not.
        times: how often it can be used; 0 is for ever.
    """

    sender: str = "*"
    when: str = "*"
    say: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    after_s: float = 0.0
    fail: str = ""
    times: int = 0


class Script(NamedTuple):
    """What a file says. `default` is for messages that no reply fits."""

    replies: tuple[Reply, ...]
    default: str


class _Text(Kind):
    def parse(self, text: str, quoted: bool) -> str:
        return text

    def allowed(self) -> str:
        return "text"

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class _Seconds(Kind):
    def parse(self, text: str, quoted: bool) -> float:
        if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
            seconds = float(text)
            if not quoted and seconds <= _LONGEST_S:
                return seconds
        raise ValueError(f"{text!r} is not {self.allowed()}")

    def allowed(self) -> str:
        return f"seconds, such as 0.5, and at most {_LONGEST_S:g}"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": _LONGEST_S}


_TEXT: Final = _Text()
_TOP: Final = {"default": _TEXT}
_CALL: Final = {"name": _TEXT}
_REPLY: Final[Mapping[str, Kind]] = {
    "from": _TEXT,
    "when": _TEXT,
    "say": _TEXT,
    "after_s": _Seconds(),
    "fail": Choice(FAILURES),
    "times": Count(1, _MOST_TIMES),
}


def read(path: Path) -> Script:
    """What the file at `path` says. Raises `ConfigError`."""
    return parse(document.read(path), str(path))


def parse(item: Item, file: str) -> Script:
    """What a document says; `file` is for the errors. Raises `ConfigError`."""
    place = Place(file, "", 1)
    top = mapping(place, item, ("replies", *_TOP))
    default = values(place, top, _TOP).get("default", "")
    if "replies" not in top:
        return Script((), default)
    return Script(tuple(_each(place, "replies", top["replies"], _reply)), default)


def _each(place: Place, key: str, item: Item, read_one: Any) -> list[Any]:
    if not isinstance(item.value, list):
        raise place.of(key, item).wrong("must be a list, one entry a dash")
    return [
        read_one(place.of(f"{key}[{number}]", one), one)
        for number, one in enumerate(item.value)
    ]


def _reply(place: Place, item: Item) -> Reply:
    keys = mapping(place, item, (*_REPLY, "calls"))
    found = values(place, keys, _REPLY)
    if "calls" in keys:
        found["calls"] = tuple(_each(place, "calls", keys["calls"], _call))
    if not found.keys() & {"say", "calls", "fail"}:
        raise place.wrong("does nothing: give it say, calls or fail")
    if "from" in found:
        found["sender"] = found.pop("from")
    return Reply(**found)


def _call(place: Place, item: Item) -> tuple[str, dict[str, Any]]:
    keys = mapping(place, item, (*_CALL, "arguments"))
    found = values(place, keys, _CALL)
    if not found.get("name"):
        raise place.wrong("name is missing: which tool?")
    if "arguments" not in keys:
        return found["name"], {}
    at = place.of("arguments", keys["arguments"])
    arguments = {
        name: plain(one) for name, one in mapping(at, keys["arguments"], None).items()
    }
    return found["name"], arguments


def plain(item: Item) -> Any:
    """A value as JSON has it. What stands in quotes is text; beside text there are
    null, true, false and numbers, written as JSON writes them."""
    value = item.value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if value is None or item.quoted:
        return value
    if value in ("true", "false"):
        return value == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", value):
        return int(value)
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}", value):
        return float(value)
    return value
