"""Acks, nacks, extensions and releases on their way to the broker. Pure.

All that waits goes out in one SETTLE, acks and releases as runs. What was not
answered when a connection is lost is said again on the next one, before anything
else: a receipt stays good through a takeover unless somebody else got the message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from ipcbus.client.message import Action, BaseMessage, Settlement
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
    let_go: told of each delivery that this client does not hold any more.
    """

    def __init__(self, let_go: Callable[[BaseMessage], None]) -> None:
        self.waiting: deque[Settlement] = deque()
        self.flying: dict[int, list[Settlement]] = {}
        self._let_go = let_go

    def release(self, message: BaseMessage) -> None:
        """Give back what the application has not seen."""
        settlement = message.settle_unseen(Action.RELEASE)
        if settlement is not None:
            self.waiting.append(settlement)

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
        while self.waiting and len(batch) < MOST and nacks < MOST_NACKS:
            settlement = self.waiting.popleft()
            if settlement.action is Action.EXTEND and settlement.message.settled:
                # The last word on it is on its way too, and the broker would find
                # nothing to extend behind it.
                settlement.resolve(None)
                continue
            nacks += settlement.action is Action.NACK
            batch.append(settlement)
        return batch

    def _settle(self, ref: int, batch: list[Settlement]) -> Settle:
        acks, releases = [], []
        settle = Settle(ref, [], [], [], [])
        for settlement in batch:
            message = settlement.message
            match settlement.action:
                case Action.ACK:
                    acks.append((message.seq, message.attempt))
                case Action.RELEASE:
                    releases.append((message.seq, message.attempt))
                case Action.NACK:
                    reason = settlement.reason[: limits.MAX_TEXT] or None
                    settle.nacks.append(
                        [message.seq, message.attempt, settlement.ms, reason]
                    )
                case Action.EXTEND:
                    settle.extends.append([message.seq, message.attempt, settlement.ms])
                    continue
            self._let_go(message)
        settle.acks.extend(runs(sorted(acks)))
        settle.releases.extend(runs(sorted(releases)))
        return settle

    def settled(self, answer: Settled, now: float) -> None:
        batch = self.flying.pop(answer.ref, [])
        stale = set(answer.stale)
        for settlement in batch:
            message = settlement.message
            if message.seq in stale:
                if settlement.action is Action.EXTEND:
                    self._let_go(message)
                settlement.fail(StaleLease(id=message.id))
                continue
            if settlement.action is Action.EXTEND:
                message.lease_ms = settlement.ms
                message.until = now + settlement.ms / 1000
            settlement.resolve(None)

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
