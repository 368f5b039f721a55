"""What became of messages, gathered into the groups of a settlement. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipcbus_bridges.wording import MOST_STATUS, told

MOST_GROUPS = 1024
HEAD_BYTES = 240 * 1024
"""Bounds of one settlement: those of the protocol, with room for its frame."""

GROUP_BYTES = 32
RUN_BYTES = 7
"""Bytes of a packed group, and of a number in its runs, at most; texts apart."""


class Groups:
    """Gathers them; messages that ended in the same way become one group."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str, str, int], list[tuple[int, int]]] = {}

    def add(
        self,
        outcome: str,
        rule: str,
        status: str,
        reason: str,
        delay_ms: int,
        seq: int,
        attempt: int,
    ) -> None:
        if reason:
            status, reason = told(status, MOST_STATUS), told(reason)
        key = (outcome, rule, status, reason, delay_ms)
        self._groups.setdefault(key, []).append((seq, attempt))

    def parts(self) -> Iterator[list[list[Any]]]:
        """All of them, in as many settlements as the bounds want; none if empty."""
        part: list[list[Any]] = []
        size = 0
        for key, receipts in self._groups.items():
            group = [*key, _runs(receipts)]
            more = _size(group)
            if part and (size + more > HEAD_BYTES or len(part) == MOST_GROUPS):
                yield part
                part, size = [], 0
            part.append(group)
            size += more
        if part:
            yield part


def _size(group: list[Any]) -> int:
    _, rule, status, reason, _, runs = group
    texts = len(rule) + len(status) + len(reason.encode())
    return GROUP_BYTES + texts + RUN_BYTES * len(runs)


def _runs(receipts: list[tuple[int, int]]) -> list[int]:
    """As runs of the protocol: first seq, count, attempt, flattened."""
    flat: list[int] = []
    for seq, attempt in sorted(receipts):
        if flat and flat[-1] == attempt and flat[-3] + flat[-2] == seq:
            flat[-2] += 1
        else:
            flat += (seq, 1, attempt)
    return flat
