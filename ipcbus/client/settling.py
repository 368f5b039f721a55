"""Acks, nacks, extensions and releases on their way to the broker. Pure.

All that waits goes out in one SETTLE, acks and releases as runs. What was not
answered when a connection is lost is said again on the next one, before anything
else: a receipt stays good through a takeover unless somebody else got the message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ipcbus.client.message import (
    ACK,
    EXTEND,
    NACK,
    RELEASE,
    BaseMessage,
    Settlement,
)
from ipcbus.errors import IpcbusError, StaleLease
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Settle, Settled
from ipcbus.protocol.pieces import runs

MOST = 2048
"""Deliveries in one SETTLE: keeps its head within `MAX_HEAD` with no run at all."""

MOST_NACKS = 96
"""Nacks in one SETTLE: each may carry a reason of 512 letters of 4 bytes."""


class Settling:
    """Attributes:
    waiting: appended to by any thread, all else by the socket thread alone.
    let_go: told of deliveries that this client does not hold any more.
    """

    def __init__(self, let_go: Callable[[Iterable[BaseMessage]], None]) -> None:
        self.waiting: deque[Settlement] = deque()
        self.flying: dict[int, list[Settlement]] = {}
        self._let_go = let_go

    def release(self, message: BaseMessage) -> None:
        """Give back what the application has not seen."""
        settlement = message.settle_unseen(RELEASE)
        if settlement is not None:
            self.waiting.append(settlement)

    def has_work(self) -> bool:
        """Whether the application wants something settled. What it has not seen comes
        back by itself when its broker is gone: for that none is started again."""
        return any(s.action is not RELEASE for s in list(self.waiting))

    def take(self, next_ref: Callable[[], int]) -> Iterator[Settle]:
        """All that waits, as few frames as the bounds allow."""
        while self.waiting:
            batch = self._batch()
            if batch:
                ref = next_ref()
                self.flying[ref] = batch
                yield self._settle(ref, batch)

    def _batch(self) -> list[Settlement]:
        batch: list[Settlement] = []
        nacks = 0
        waiting = self.waiting
        while waiting and len(batch) < MOST and nacks < MOST_NACKS:
            settlement = waiting.popleft()
            action = settlement.action
            if action is EXTEND and settlement.message.settled:
                # The last word on it is on its way too, and the broker would find
                # nothing to extend behind it.
                settlement.finish()
                continue
            nacks += action is NACK
            batch.append(settlement)
        return batch

    def _settle(self, ref: int, batch: list[Settlement]) -> Settle:
        acks: list[BaseMessage] = []
        releases: list[BaseMessage] = []
        nacks: list[list[Any]] = []
        extends: list[list[int]] = []
        for settlement in batch:
            message = settlement.message
            action = settlement.action
            if action is ACK:
                acks.append(message)
            elif action is RELEASE:
                releases.append(message)
            elif action is EXTEND:
                extends.append([message.seq, message.attempt, settlement.ms])
            else:
                reason = settlement.reason[: limits.MAX_TEXT] or None
                nacks.append([message.seq, message.attempt, settlement.ms, reason])
        self._let_go([s.message for s in batch if s.action is not EXTEND])
        return Settle(ref, _runs(acks), nacks, extends, _runs(releases))

    def settled(self, answer: Settled, now: float) -> None:
        batch = self.flying.pop(answer.ref, [])
        stale = set(answer.stale)
        for settlement in batch:
            is_extend = settlement.action is EXTEND
            if stale and settlement.message.seq in stale:
                if is_extend:
                    self._let_go([settlement.message])
                settlement.fail(StaleLease(id=settlement.message.id))
                continue
            if is_extend:
                settlement.message.lease_ms = settlement.ms
                settlement.message.until = now + settlement.ms / 1000
            settlement.finish()

    def refused(self, ref: int, error: IpcbusError) -> bool:
        if ref not in self.flying:
            return False
        for settlement in self.flying.pop(ref):
            settlement.fail(error)
        return True

    def lost(self) -> None:
        for ref in reversed(self.flying):
            self.waiting.extendleft(reversed(self.flying[ref]))
        self.flying.clear()

    def fail(self, error: IpcbusError) -> None:
        self.lost()
        while self.waiting:
            self.waiting.popleft().fail(error)


def _runs(messages: Sequence[BaseMessage]) -> list[int]:
    """Deliveries as runs; most are settled in the order in which they came."""
    if not messages:
        return []
    seqs = [message.seq for message in messages]
    attempts = {message.attempt for message in messages}
    first, count = seqs[0], len(seqs)
    if len(attempts) == 1 and seqs == list(range(first, first + count)):
        return [first, count, *attempts]
    return runs(sorted([(message.seq, message.attempt) for message in messages]))
