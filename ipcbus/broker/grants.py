"""How the owner of a network narrows what a link may bring in or take out.

A grant is rules, one a line, in the short form of those of bridges:

    allow planner -> reviewer
    deny  ci.* -> *
    allow * -> #deploy.**

Any deny that matches refuses; if there are allows, one of them must match. A name
without `@network` is an agent of the network that the message leaves (on the left), or
of the one that it enters (on the right). Only `*` is special, and stands for any
letters; in a topic it stands for one part, and a last `**` for any rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ipcbus.errors import InvalidMessage
from ipcbus.protocol.address import check_pattern, fold, matches

MOST_RULES = 200
"""Rules of one grant: each is looked at for every message."""

_RULE = re.compile(r"(allow|deny)\s+(\S+)\s+->\s+(\S+)\Z")
_GLOB = re.compile(r"[A-Za-z0-9._*-]+(@[A-Za-z0-9._*-]+)?\Z")


class GrantRule(NamedTuple):
    """`allows` or denies what goes from a sender to a recipient; globs, or a topic."""

    text: str
    allows: bool
    sender: re.Pattern[str]
    to: re.Pattern[str] | None
    topic: str | None

    def matches(self, sender: str, to: str) -> bool:
        """Both in full: `alice@dev`, `bob@prod` or `#deploy.web`."""
        if not self.sender.match(fold(sender)):
            return False
        if to[:1] == "#":
            return self.topic is not None and matches(self.topic, to[1:])
        return self.to is not None and self.to.match(fold(to)) is not None


def parse(text: str, source: str, destination: str) -> GrantRule:
    """One rule of a grant for what goes from `source` to `destination`.

    Raises `InvalidMessage`.
    """
    found = _RULE.match(text.strip())
    if found is None:
        raise _wrong(text, "write it as: allow FROM -> TO, or deny FROM -> TO")
    verb, sender, to = found.groups()
    left = _glob(text, sender, source)
    if to[:1] == "#":
        return GrantRule(
            text.strip(), verb == "allow", left, None, check_pattern(to[1:])
        )
    right = _glob(text, to, destination)
    return GrantRule(text.strip(), verb == "allow", left, right, None)


def parse_all(lines: Sequence[str], source: str, destination: str) -> list[GrantRule]:
    """Raises `InvalidMessage`, also if there are too many."""
    if len(lines) > MOST_RULES:
        raise _wrong(lines[MOST_RULES], f"a grant has at most {MOST_RULES} rules")
    return [parse(line, source, destination) for line in lines]


def decide(
    rules: Sequence[GrantRule], sender: str, to: str
) -> tuple[bool, GrantRule | None]:
    """Whether a message passes, and the rule that said so. No rules: all passes."""
    passing = None
    allows = False
    for rule in rules:
        allows |= rule.allows
        if not rule.matches(sender, to):
            continue
        if not rule.allows:
            return False, rule
        passing = passing or rule
    return passing is not None or not allows, passing


def _glob(text: str, pattern: str, network: str) -> re.Pattern[str]:
    if not _GLOB.match(pattern):
        raise _wrong(text, f"{pattern!r} is no name; only * is special in one")
    if "@" not in pattern:
        pattern = f"{pattern}@{network}"
    parts = (re.escape(part) for part in re.split(r"\*+", fold(pattern)))
    return re.compile(".*".join(parts) + r"\Z")


def _wrong(text: str, reason: str) -> InvalidMessage:
    return InvalidMessage(field="grant", reason=f"{text!r:.200}: {reason}")
