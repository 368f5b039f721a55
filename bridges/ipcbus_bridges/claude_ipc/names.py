"""Names of old instances, and what agents they are in the network. PURE.

    old     1*32 of A-Z a-z 0-9 "-" "_"
    agent   the same and ".", but the first is a letter or digit

So an old name is an agent's name, but for those that begin with `-` or `_`: these get
`x.` in front, which no old name can have, since it has no dots.
"""

from __future__ import annotations

import re
from typing import Final

MAX_NAME: Final = 32

_OLD: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME}}}\Z")
_AGENT: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}\Z")
_FRONT: Final = "x."

SYSTEM: Final = "system"
"""The sender of notices, as old programs know it."""

RESERVED: Final = frozenset((SYSTEM, "ipcbus"))
"""Whoever had one of these could be taken for the network itself."""


def is_old(text: object) -> bool:
    """Whether `text` can be the name of an old instance here."""
    return (
        isinstance(text, str)
        and _OLD.match(text) is not None
        and _AGENT.match(to_agent(text)) is not None
        and text.lower() not in RESERVED
    )


def to_agent(old: str) -> str:
    """The agent's name of an old instance."""
    return f"{_FRONT}{old}" if old[:1] in ("-", "_") else old


def to_old(agent: str) -> str:
    """What old programs are shown of an agent's name, or of a name in full."""
    rest = agent.removeprefix(_FRONT)
    return rest if rest[:1] in ("-", "_") else agent


def fold(name: str) -> str:
    """The form in which names are compared."""
    return name.lower()


def address(to: object) -> str | None:
    """Where a message to `to` goes: an agent, or `agent@network`; None for neither."""
    if not isinstance(to, str):
        return None
    name, at, network = to.partition("@")
    name = to_agent(name)
    if not _AGENT.match(name) or (at and not _AGENT.match(network)):
        return None
    return f"{name}@{network}" if at else name
