"""How many messages in which time: token buckets that are handed the clock. PURE.

A bucket holds as many tokens as a rate has messages, and each message takes one. What
is kept of it is one number, the time at which it would be full again (the "theoretical
arrival time" of the generic cell rate algorithm, ITU-T I.371), times the messages of
the rate, so that all is exact in whole numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Per: TypeAlias = Literal["rule", "sender", "pair"]
Exceed: TypeAlias = Literal["defer", "refuse"]

MAX_BUCKETS: Final = 16_384
"""What is kept, about 4 MiB. Beyond it the bucket that was not asked for longest is
forgotten, so it is full again: too lenient to a crowd, never too strict to one."""


TOLD: Final = 100
"""Buckets that a status tells of."""


class Rate(NamedTuple):
    """At most `messages` in any `per_ms` that begins with a full bucket.

    Attributes:
        by: who shares a bucket: all that the rule carries, each sender, or each
            sender and recipient.
        exceed: what becomes of a message over it: it waits, or it comes back.
    """

    messages: int
    per_ms: int
    by: Per = "rule"
    exceed: Exceed = "defer"


class Buckets:
    """The buckets of a bridge. A rule whose rate was changed begins with full ones."""

    def __init__(self, most: int = MAX_BUCKETS) -> None:
        self._most = most
        self._full: OrderedDict[tuple[str, Rate, str, str], int] = OrderedDict()

    def take(self, rule: str, rate: Rate, sender: str, to: str, now_ms: int) -> int:
        """0 if a message passes now; else how many milliseconds it has to wait.

        Only a message that passes takes a token, so asking again costs nothing.
        """
        key = (rule, rate, *sharers(rate, sender, to))
        now = now_ms * rate.messages
        full = max(self._full.get(key, now), now) + rate.per_ms
        early = full - now - rate.per_ms * rate.messages
        if early > 0:
            return -(-early // rate.messages)
        self._full[key] = full
        self._full.move_to_end(key)
        if len(self._full) > self._most:
            self._full.popitem(last=False)
        return 0

    def left(self, now_ms: int) -> list[list[Any]]:
        """`[rule, sender, recipient, messages that pass now]`, of the buckets that were
        used last; those that are full may be missing."""
        found = []
        for (rule, rate, sender, to), full in islice(
            reversed(self._full.items()), TOLD
        ):
            owed = max(full - now_ms * rate.messages, 0)
            free = (rate.per_ms * rate.messages - owed) // rate.per_ms
            found.append([rule, sender, to, free])
        return found

    def __len__(self) -> int:
        return len(self._full)


def sharers(rate: Rate, sender: str, to: str) -> tuple[str, str]:
    """Whose bucket it is: sender and recipient, "" for all of them."""
    whom = to if to[:1] == "#" else to.lower()
    return (
        "" if rate.by == "rule" else sender.lower(),
        whom if rate.by == "pair" else "",
    )
