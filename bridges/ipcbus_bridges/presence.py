"""Which agents of the destination are shown at the source: those that rules expose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import ipcbus
from ipcbus_bridges.ends import End
from ipcbus_bridges.rule import Rule, When
from ipcbus_bridges.rules import LinkRules

EVERY_MS: Final = 15_000
"""Between two tellings; the source forgets what was not told for a minute."""

MOST_TOLD: Final = 1000
MOST_LINES: Final = 200
MOST_BYTES: Final = 512 * 1024
"""Agents that a source takes, rules for one of them (a test compares both), and bytes
of a frame with room to spare: of more it takes none, or cuts the link. Whoever is left
out is not listed, and can be written to all the same."""

TEXT_BYTES: Final = 5
"""What a packed text takes beside its letters, at most."""

Put = Callable[..., None]


class Presence:
    """Args:
    put: has what it is given called in the thread of the link.
    """

    def __init__(
        self, source: End, destination: End, rules: LinkRules, put: Put
    ) -> None:
        self.rules = rules
        self._put = put
        self._source = source
        self._destination = destination
        self._next = 0

    def tell(self, now: int, state: str) -> None:
        """Tell who is there, if it is time to; answers come by themselves."""
        waits = 0 < self._next - now <= EVERY_MS  # more, if the clock was put back
        if state != "running" or waits or not self.rules.exposed():
            return
        self._next = now + EVERY_MS
        self._destination.present(
            0, lambda value, error: self._put(self._present, value, error)
        )

    def _present(self, value: Any, error: ipcbus.IpcbusError | None) -> None:
        if error is None:
            rows, _ = value
            names = [row[0] for row in rows]
            self._source.publish(exposed_rows(self.rules, names), _never_mind)


def exposed_rows(rules: LinkRules, names: list[str]) -> list[list[Any]]:
    """Of agents that are there: `[name, who may see it, who may not]`."""
    rows: list[list[Any]] = []
    room = MOST_BYTES
    for name in names:
        allows, denies = (
            [
                str(rule.sender)
                for rule in some
                if rule.to is not None and rule.to.matches(name, rules.destination)
            ]
            for some in (_exposing(rules), _forbidding(rules))
        )
        if not allows or len(allows) + len(denies) > MOST_LINES:
            continue
        room -= sum(len(text) + TEXT_BYTES for text in (name, *allows, *denies))
        if room < 0 or len(rows) == MOST_TOLD:
            break
        rows.append([name, allows, denies])
    return rows


def _exposing(rules: LinkRules) -> list[Rule]:
    return [rule for rule in rules.allows if rule.options.expose]


def _forbidding(rules: LinkRules) -> list[Rule]:
    """What is refused whatever the message."""
    return [rule for rule in rules.denies if rule.when == When()]


def _never_mind(value: Any, error: ipcbus.IpcbusError | None) -> None:
    """Nothing depends on it."""
