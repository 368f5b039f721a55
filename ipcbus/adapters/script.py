"""An agent whose answers stand in a file: for tests and demonstrations.

    replies:
      - from: alice
        when: "*build*"
        calls:
          - name: send
            arguments: {to: bob, text: "alice asks for the build"}
        say: "I have asked bob: {answer}"
      - when: "*"
        times: 1
        fail: overloaded
    default: "I do not understand."

The first reply that fits the last message is taken. `from` and `when` are patterns
with `*` and `?` for the sender and the text, upper and lower case alike. Tools that it
`calls` come first; what it says follows when they have answered. The same file and the
same messages give the same answers, each time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from ipcbus.adapters import given
from ipcbus.adapters.base import (
    TOOL,
    TOOLS,
    USER,
    Answer,
    Finding,
    Options,
    Said,
    ToolCall,
    Turn,
    Usage,
)
from ipcbus.adapters.heard import Heard, heard
from ipcbus.adapters.scriptfile import Reply, read
from ipcbus.errors import (
    AdapterFailed,
    KeyRefused,
    Overloaded,
    TooLong,
    UsageError,
)

_WHY: Final = "its script says so"


def _failure(kind: str) -> AdapterFailed:
    if kind == "overloaded":
        return Overloaded(adapter="script", reason=_WHY, retry_after_s=1.0)
    kinds = {"failed": AdapterFailed, "key": KeyRefused, "too_long": TooLong}
    return kinds[kind](adapter="script", reason=_WHY)


class Script:
    """Option `file`: where its answers stand."""

    needs = ""

    def __init__(self, options: Options) -> None:
        given.only("script", options, ("file",))
        file = given.text(options, "file")
        if not file:
            raise UsageError(reason="script: say where its answers stand: file=PATH")
        self._file = file
        self._script = read(Path(file).expanduser())
        self._used: Counter[int] = Counter()

    async def turn(self, turn: Turn) -> Answer:
        at, message = _last_message(turn.said)
        since = turn.said[at + 1 :]
        number = _asked_by(since)
        if number is None:
            number = self._fitting(message)
        if number is None:
            return _spoken(turn, self._script.default, message, since)
        reply = self._script.replies[number]
        await asyncio.sleep(reply.after_s)
        if reply.fail:
            raise _failure(reply.fail)
        if reply.calls and not since and turn.tools:
            return Answer("", _calls(number, reply, message), _USAGE, TOOLS)
        return _spoken(turn, reply.say, message, since)

    def _fitting(self, message: Heard) -> int | None:
        for number, reply in enumerate(self._script.replies):
            is_left = not reply.times or self._used[number] < reply.times
            if is_left and _fits(reply, message):
                self._used[number] += 1
                return number
        return None

    async def check(self) -> list[Finding]:
        count = len(self._script.replies)
        return [Finding("ok", f"{self._file}: {count} replies and a default")]

    async def close(self) -> None:
        pass


_USAGE: Final = Usage(1, 1)
"""Of each answer, so that bounds in tokens can be tried."""


def _last_message(said: Sequence[Said]) -> tuple[int, Heard]:
    """The last that a user said, and where it stands."""
    for at in range(len(said) - 1, -1, -1):
        if said[at].role == USER:
            return at, heard(said[at].text)[-1]
    return -1, Heard("", "")


def _fits(reply: Reply, message: Heard) -> bool:
    return fnmatchcase(message.sender.casefold(), reply.sender.casefold()) and (
        fnmatchcase(message.text.casefold(), reply.when.casefold())
    )


def _calls(number: int, reply: Reply, message: Heard) -> tuple[ToolCall, ...]:
    """Their ids say which reply it was, for when the tools have answered."""
    return tuple(
        ToolCall(f"reply-{number}-{at}", name, _filled(arguments, message, ""))
        for at, (name, arguments) in enumerate(reply.calls)
    )


def _asked_by(since: Sequence[Said]) -> int | None:
    """The number of the reply whose calls were answered."""
    for one in since:
        found = re.fullmatch(r"reply-(\d+)-\d+", one.call.id) if one.call else None
        if found is not None:
            return int(found[1])
    return None


def _spoken(turn: Turn, words: str, message: Heard, since: Sequence[Said]) -> Answer:
    """`words` with their places filled, told piece by piece as a model does it."""
    answers = [one.text for one in since if one.role == TOOL]
    text = str(_filled(words, message, answers[-1] if answers else ""))
    if turn.on_text is not None:
        for piece in text.splitlines(keepends=True):
            turn.on_text(piece)
    return Answer(text, usage=_USAGE)


def _filled(value: object, message: Heard, answer: str) -> object:
    """`value` with {from}, {text} and {answer} in all its texts replaced, once: what
    they are replaced by may have such words in it."""
    if isinstance(value, dict):
        return {key: _filled(one, message, answer) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, message, answer) for one in value]
    if not isinstance(value, str):
        return value
    places = {"from": message.sender, "text": message.text, "answer": answer}
    pieces = value.split("{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, closing, rest = piece.partition("}")
        is_place = closing and name in places
        filled.append(places[name] + rest if is_place else "{" + piece)
    return "".join(filled)
