"""Sends, from the moment they are made until the broker has them. Pure.

    waiting   submitted, not said on this connection
    flying    said, not answered; by the ref of their frame, in order

When a connection is lost all that is flying waits again, in its old place: the same
messages with the same ids in the same order, so the broker knows those that it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ipcbus.client.message import Receipt
from ipcbus.client.pending import Bell, Pending, finish_all
from ipcbus.errors import IpcbusError, from_wire
from ipcbus.protocol import limits
from ipcbus.protocol.messages import ACCEPTED, STATES, Accepted, Draft, Send

MOST_MESSAGES = min(limits.MAX_BATCH, limits.SEND_WINDOW // 4)
"""Messages in one frame: at most a quarter of the window, so that the broker works
on one frame while the next is under way."""

MOST_BYTES = min(limits.BATCH_BYTES, limits.SEND_WINDOW_BYTES // 4)

PLAIN_HEAD = 232
"""Bytes of a packed draft without meta and attachments, at the most its fields and
their msgpack prefixes can take."""


Rest = tuple[Any, ...]
"""The fields of a draft behind its id: one and the same for messages made alike."""


class Sending(Pending[Receipt]):
    """A message under way; resolves to its `Receipt`."""

    __slots__ = ("_receipt", "body", "head", "id", "rest")

    what = "the broker's word on a message; it may still be stored"

    def __init__(self, id_: str, rest: Rest, body: bytes, head: int) -> None:
        self._done = False
        self._callbacks = None
        self._error = None
        self._receipt: Receipt | None = None
        self.id = id_
        self.rest = rest
        self.body = body
        self.head = head

    @classmethod
    def of(cls, draft: Draft, body: bytes) -> Sending:
        return cls(draft.id, draft[1:], body, head_size(draft))

    def value(self) -> Receipt:
        # Most receipts are never looked at: made when asked for, and in a third of the
        # time without the constructor.
        return self._receipt or tuple.__new__(
            Receipt, (self.id, ACCEPTED, self.rest[0], 1, False)
        )

    def resolve(self, value: Receipt) -> None:
        self._receipt = value
        self.finish()

    def facts(self) -> dict[str, Any]:
        return {"id": self.id}


def head_size(draft: Draft) -> int:
    """Bytes that a draft takes in a head, at the most."""
    if not (draft.thread or draft.reply_to or draft.meta or draft.attachments):
        return PLAIN_HEAD
    size = PLAIN_HEAD + 2 * limits.MAX_ID + len(draft.meta or b"") + 8
    for sha256, _, name, content_type in draft.attachments or ():
        size += len(sha256) + 4 * len(name) + 4 * len(content_type or "") + 24
    return size


class Outbox:
    """Attributes:
    waiting: appended to by any thread, all else by the socket thread alone.
    answered, answered_bytes: how much is done, since the beginning.
    room: rings when messages were answered.
    """

    def __init__(self) -> None:
        self.waiting: deque[Sending] = deque()
        self.flying: dict[int, list[Sending]] = {}
        self.flying_messages = 0
        self.flying_bytes = 0
        self.answered = 0
        self.answered_bytes = 0
        self.room = Bell()

    def next(self, ref: int, most: int) -> Send | None:
        """What goes into the next frame, of the first `most` that wait."""
        most = min(most, MOST_MESSAGES, limits.SEND_WINDOW - self.flying_messages)
        free = limits.SEND_WINDOW_BYTES - self.flying_bytes
        batch: list[Sending] = []
        size = head = 0
        waiting = self.waiting
        while len(batch) < most:
            sending = waiting[0]
            size += len(sending.body)
            head += sending.head
            if batch and (size > MOST_BYTES or head > limits.MAX_HEAD):
                size -= len(sending.body)
                break
            if size > free:
                size -= len(sending.body)
                break
            batch.append(waiting.popleft())
        if not batch:
            return None
        self.flying[ref] = batch
        self.flying_messages += len(batch)
        self.flying_bytes += size
        return Send(ref, _drafts(batch), [s.body for s in batch])

    def is_open(self) -> bool:
        """Whether something waits that the windows let go."""
        if not self.waiting or self.flying_messages >= limits.SEND_WINDOW:
            return False
        free = limits.SEND_WINDOW_BYTES - self.flying_bytes
        return len(self.waiting[0].body) <= free

    def accepted(self, answer: Accepted) -> None:
        """The broker has decided about a frame."""
        batch = self._land(answer.ref)
        exceptions = {index: rest for index, *rest in answer.exceptions}
        if not exceptions:
            for sending in batch:
                sending.body = b""
            finish_all(batch)
        else:
            for index, sending in enumerate(batch):
                sending.body = b""
                _decide(sending, exceptions.get(index))
        self.room.ring()

    def refused(self, ref: int, error: IpcbusError) -> bool:
        """The broker refused a whole frame. False if it was no frame of ours."""
        if ref not in self.flying:
            return False
        self._fail(self._land(ref), error)
        return True

    def lost(self) -> None:
        """The connection is gone: what flew waits again, before all else."""
        for ref in reversed(self.flying):
            self.waiting.extendleft(reversed(self.flying[ref]))
        self.flying.clear()
        self.flying_messages = self.flying_bytes = 0

    def fail(self, error: IpcbusError) -> None:
        """Nothing will be sent any more."""
        self.lost()
        batch = []
        while self.waiting:
            batch.append(self.waiting.popleft())
        self.answered += len(batch)
        self.answered_bytes += sum(len(sending.body) for sending in batch)
        self._fail(batch, error)

    def _fail(self, batch: Sequence[Sending], error: IpcbusError) -> None:
        for sending in batch:
            sending.body = b""
            sending.fail(error)
        self.room.ring()

    def _land(self, ref: int) -> list[Sending]:
        batch = self.flying.pop(ref, [])
        size = sum([len(sending.body) for sending in batch])
        self.flying_messages -= len(batch)
        self.flying_bytes -= size
        self.answered += len(batch)
        self.answered_bytes += size
        return batch

    def check_invariants(self) -> None:
        flying = [sending for batch in self.flying.values() for sending in batch]
        assert self.flying_messages == len(flying) <= limits.SEND_WINDOW
        assert self.flying_bytes == sum(len(sending.body) for sending in flying)
        assert not any(sending.done() for sending in flying)


def _drafts(batch: Sequence[Sending]) -> list[Draft | str]:
    """The id alone for each that is like the one before."""
    drafts: list[Draft | str] = []
    before: Rest | None = None
    for sending in batch:
        rest = sending.rest
        if rest is before or rest == before:
            drafts.append(sending.id)
        else:
            drafts.append(Draft(sending.id, *rest))
            before = rest
    return drafts


def _decide(sending: Sending, exception: list[Any] | None) -> None:
    if exception is None:
        sending.finish()
        return
    outcome, facts = exception
    if outcome not in STATES:
        sending.fail(from_wire(outcome, facts))
        return
    to, count = facts.get("to", sending.rest[0]), facts.get("recipients", 1)
    again = facts.get("again", False)
    sending.resolve(Receipt(sending.id, outcome, to, count, again))
