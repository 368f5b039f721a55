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
        if state != "running" or now < self._next or not self.rules.exposed():
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
    for name in names:
        allows, denies = (
            [
                str(rule.sender)
                for rule in some
                if rule.to is not None and rule.to.matches(name, rules.destination)
            ]
            for some in (_exposing(rules), _forbidding(rules))
        )
        if allows:
            rows.append([name, allows, denies])
    return rows


def _exposing(rules: LinkRules) -> list[Rule]:
    return [rule for rule in rules.allows if rule.options.expose]


def _forbidding(rules: LinkRules) -> list[Rule]:
    """What is refused whatever the message."""
    return [rule for rule in rules.denies if rule.when == When()]


def _never_mind(value: Any, error: ipcbus.IpcbusError | None) -> None:
    """Nothing depends on it."""
