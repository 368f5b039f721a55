"""The command lines that are used most, read without click.

click and what it loads take 14 ms, a fifth of a `send`. Most lines of `send`, `check`,
`wait` and `hook` have nothing but words and the options below, and need none of it. All
others are click's, which knows every option, help and mistake: so what is not read
here is slower, and never read otherwise. A test has both read the same lines.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

_PLAIN: Final = r"[0-9]{1,9}(\.[0-9]{1,3})?"


def seconds(text: str) -> float:
    """Of `90`, `90s`, `500ms`, `15m`, `2h` or `7d`. Raises `ValueError`.

    A plain number is allowed here, as it is not in a configuration: whoever types
    `--timeout 60` means what `sleep 60` and `timeout 60` mean.
    """
    if re.fullmatch(_PLAIN, text):
        return float(text)
    from ipcbus.units import duration_ms  # has a pattern to compile

    return duration_ms(text) / 1000


# --- what is read here -------------------------------------------------------

Option = tuple[str, Callable[[str], object]]
"""The keyword that an option stands for, and what reads its value."""

_MEMBER: Final[Mapping[str, Option]] = {
    "--network": ("network", str),
    "-n": ("network", str),
    "--as": ("agent", str),
}
_LEASE: Final[Mapping[str, Option]] = {"--lease": ("lease", seconds)}
_TIMEOUT: Final[Mapping[str, Option]] = {"--timeout": ("timeout", seconds)}
_MESSAGE: Final[Mapping[str, Option]] = {
    "--id": ("id_", str),
    "--reply-to": ("reply_to", str),
    "--thread": ("thread", str),
}

OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "send": {**_MEMBER, **_TIMEOUT, **_MESSAGE},
    "check": {**_MEMBER, **_LEASE},
    "wait": {**_MEMBER, **_TIMEOUT, **_LEASE},
    "hook": _MEMBER,
}
FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "send": {"--json": "as_json", "--future": "future"},
    "check": {"--json": "as_json", "--no-ack": "no_ack", "--peek": "peek"},
    "wait": {"--json": "as_json", "--no-ack": "no_ack"},
    "hook": {"--json": "as_json"},
}
WORDS: Final[Mapping[str, range]] = {
    "send": range(1, sys.maxsize),  # to whom, and what
    "check": range(1),
    "wait": range(1),
    "hook": range(2, 3),  # whose, and which
}
"""How many words a line may have."""
WHERE: Final[Mapping[str, str]] = {
    "send": "ipcbus.doors.cli.sending",
    "check": "ipcbus.doors.cli.reading",
    "wait": "ipcbus.doors.cli.reading",
    "hook": "ipcbus.doors.cli.hooking",
}
VARIABLES: Final[Mapping[str, str]] = {
    "network": "IPCBUS_NETWORK",
    "agent": "IPCBUS_AGENT",
}


def understood(args: Sequence[str]) -> Callable[[], object] | None:
    """What carries out this command line; None if that is for click to tell."""
    if not args or args[0] not in WHERE or "_IPCBUS_COMPLETE" in os.environ:
        return None
    name = args[0]
    read = _read(args[1:], OPTIONS[name], FLAGS[name])
    if read is None:
        return None
    words, given = read
    if len(words) not in WORDS[name]:
        return None
    for keyword, variable in VARIABLES.items():
        given.setdefault(keyword, os.environ.get(variable) or None)
    return partial(load(WHERE[name], name), *words, **given)


def load(module: str, name: str) -> Any:
    """`name` of `module`. All that is needed is there then, and none of it will ever
    be garbage: the collector looks at what comes after it only."""
    found = getattr(import_module(module), name)
    gc.freeze()
    gc.enable()
    return found


def _read(
    args: Sequence[str], options: Mapping[str, Option], flags: Mapping[str, str]
) -> tuple[list[str], dict[str, Any]] | None:
    """Words and keywords; None for a line that is not as plain as that."""
    words: list[str] = []
    given: dict[str, Any] = {}
    left = iter(args)
    for arg in left:
        if arg in flags:
            given[flags[arg]] = True
        elif arg in options:
            keyword, value_of = options[arg]
            value = next(left, "")
            if not value or value.startswith("-"):
                return None
            try:
                given[keyword] = value_of(value)
            except ValueError:
                return None
        elif arg.startswith("-") and arg != "-":
            return None
        else:
            words.append(arg)
    return words, given
