"""Names, addresses, topics and patterns: their grammar, and matching.

    address  = agent / agent "@" network / "#" topic / "*"
    agent    = network = 1*32 of A-Z a-z 0-9 "." "_" "-", the first a letter or digit
    topic    = part *("." part)          part = 1* of A-Z a-z 0-9 "_" "-"
    pattern  = topic in which a part may be "*" (one part), and the last "**" (any rest)

Only ASCII, so that no two names look alike. Names keep their case for display
and are compared folded.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

from ipcbus.errors import InvalidAddress
from ipcbus.protocol.limits import (
    MAX_ID,
    MAX_NAME,
    MAX_REF,
    MAX_TOPIC,
    MAX_TOPIC_PARTS,
)

BROKER_NAME: Final = "ipcbus"
"""The sender of bounces and notices; no agent can take it."""

OWN_IDS: Final = f"{BROKER_NAME}-"
"""How the ids of the broker's own messages begin; it must find them unused."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}\Z")
_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_ID}}}\Z")
_ID_LENGTHS = frozenset(range(1, MAX_ID + 1))
_ID_LETTERS = bytes(ord(c) for c in map(chr, range(128)) if _ID.match(c))
_PART = re.compile(r"[A-Za-z0-9_-]+\Z")


class Kind(Enum):
    """What an address points at."""

    AGENT = "agent"
    FOREIGN = "foreign"
    TOPIC = "topic"
    EVERYONE = "everyone"


class Address(NamedTuple):
    """Where a message goes. `name` is the agent or the topic (without `#`)."""

    kind: Kind
    name: str
    network: str | None = None

    def __str__(self) -> str:
        if self.kind is Kind.EVERYONE:
            return "*"
        if self.kind is Kind.TOPIC:
            return f"#{self.name}"
        return f"{self.name}@{self.network}" if self.network else self.name


EVERYONE: Final = Address(Kind.EVERYONE, "")


def parse(text: str) -> Address:
    """The address that `text` spells. Raises `InvalidAddress`."""
    if text == "*":
        return EVERYONE
    if text[:1] == "#":
        return Address(Kind.TOPIC, check_topic(text[1:]))
    name, at, network = text.partition("@")
    if not at:
        return Address(Kind.AGENT, check_name(name))
    return Address(Kind.FOREIGN, check_name(name), check_name(network))


def check_name(text: str) -> str:
    """`text`, if it can name an agent or a network. Raises `InvalidAddress`."""
    if not _NAME.match(text):
        raise InvalidAddress(
            address=text,
            reason=f"a name is 1 to {MAX_NAME} of letters, digits, '.', '_' and '-', "
            "and begins with a letter or digit",
        )
    return text


def is_id(text: str) -> bool:
    """Whether `text` can be a message id or idempotency key."""
    return _ID.match(text) is not None


def are_ids(texts: list[str]) -> bool:
    """`is_id` of all: a column is looked at as a whole, in a tenth of the time."""
    try:
        letters = "".join(texts).encode("ascii")
    except UnicodeEncodeError:
        return False
    lengths = set(map(len, texts))
    return lengths <= _ID_LENGTHS and not letters.translate(None, _ID_LETTERS)


def is_ref(text: str) -> bool:
    """Whether `text` names a message: its id, with `@network` if it is of another."""
    if "@" not in text:
        return is_id(text)
    id_, _, network = text.rpartition("@")
    return len(text) <= MAX_REF and is_id(id_) and _NAME.match(network) is not None


def arriving(text: str, source: str, here: str) -> str:
    """A name or id that was said in network `source`, as it is said `here`.

    What is of the source gets its name added, what is of here loses it, and what is of
    a third network keeps it. So a name means the same wherever it is read.
    """
    base, at, network = text.rpartition("@")
    if not at:
        return f"{text}@{source}"
    return base if fold(network) == fold(here) else text


def fold(name: str) -> str:
    """The form in which names are compared. What is no name stays as it is: there are
    signs, as that of Kelvin, whose small letter is one of ASCII."""
    return name.lower() if name.isascii() else name


def check_topic(text: str) -> str:
    """`text`, if it is a topic without wildcards. Raises `InvalidAddress`."""
    return _check_parts(text, wild=False)


def check_pattern(text: str) -> str:
    """`text`, if it is a topic or a pattern. Raises `InvalidAddress`."""
    return _check_parts(text, wild=True)


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` is selected by `pattern`; `**` also stands for nothing."""
    wanted, given = pattern.split("."), topic.split(".")
    if wanted[-1] == "**":
        wanted.pop()
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        part in ("*", part_given)
        for part, part_given in zip(wanted, given, strict=True)
    )


def _check_parts(text: str, *, wild: bool) -> str:
    parts = text.split(".")
    if len(text) > MAX_TOPIC or len(parts) > MAX_TOPIC_PARTS:
        raise InvalidAddress(
            address=f"#{text}",
            reason=f"a topic has at most {MAX_TOPIC_PARTS} parts, {MAX_TOPIC} letters",
        )
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if wild and (part == "*" or (part == "**" and last)):
            continue
        if not _PART.match(part):
            raise InvalidAddress(
                address=f"#{text}",
                reason="a topic is parts of letters, digits, '_' and '-' joined by '.'"
                + ("; '*' is one part, a last '**' any rest" if wild else ""),
            )
    return text
