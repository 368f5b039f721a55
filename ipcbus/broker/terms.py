"""What a bridge says of a link when it takes the lead, and what holds while none is
there.

It is kept with the link: mail must be bounded, and topics must wait, also in the time
between two bridges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ipcbus.broker.grants import MOST_RULES
from ipcbus.errors import InvalidMessage
from ipcbus.protocol.address import check_name, check_pattern
from ipcbus.protocol.limits import MAX_HOLD_MS, MIB

MOST_TOPICS = 100
MOST_ROUTES = 32


class Terms(NamedTuple):
    """What the bridge said last of a link; kept for the time when it is not there.

    Attributes:
        hold_ms: how long mail waits before it bounces.
        warn_ms: after which its sender is told that it is late.
        messages, bytes: bounds of the egress mailbox.
        topics: patterns whose messages go out.
        transit: those of them that take messages of third networks along.
        routes: networks farther away that the link leads to.
        drops: topics of which a full mailbox gives up the oldest for a new one.
        holds: `[from, to, ms]`: how long mail waits that some rule holds for another
            time; of several that match, the longest.
    """

    hold_ms: int = 24 * 3600 * 1000
    warn_ms: int = 15 * 60 * 1000
    messages: int = 50_000
    bytes: int = 256 * MIB
    topics: list[str] = []
    transit: list[str] = []
    routes: list[str] = []
    drops: list[str] = []
    holds: list[list[Any]] = []


def read_terms(said: Mapping[str, Any]) -> Terms:
    """Terms as a bridge says them. Raises `InvalidMessage`, `InvalidAddress`."""
    if not set(said) <= set(Terms._fields):
        raise InvalidMessage(field="lead", reason="has terms that are not known here")
    terms = Terms(**said)
    numbers = (terms.hold_ms, terms.warn_ms, terms.messages, terms.bytes)
    lists = (terms.topics, terms.transit, terms.routes, terms.drops)
    _check_holds(terms.holds)
    if not all(type(n) is int and n > 0 for n in numbers) or not all(
        type(items) is list and all(type(item) is str for item in items)
        for items in lists
    ):
        raise InvalidMessage(field="lead", reason="a term is of a wrong type")
    if terms.hold_ms > MAX_HOLD_MS:
        raise InvalidMessage(field="lead.hold_ms", reason=f"is at most {MAX_HOLD_MS}")
    if len(terms.topics) > MOST_TOPICS or len(terms.routes) > MOST_ROUTES:
        raise InvalidMessage(field="lead", reason="has too many topics or routes")
    for pattern in (*terms.topics, *terms.transit, *terms.drops):
        check_pattern(pattern)
    for route in terms.routes:
        check_name(route)
    return terms


def _check_holds(holds: Any) -> None:
    right = (
        type(holds) is list
        and len(holds) <= MOST_RULES
        and all(type(row) is list and len(row) == 3 for row in holds)
        and all(
            [type(field) for field in row] == [str, str, int]
            and 0 < row[2] <= MAX_HOLD_MS
            for row in holds
        )
    )
    if not right:
        raise InvalidMessage(field="lead.holds", reason="has rows [from, to, ms]")
