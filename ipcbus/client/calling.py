"""Calls, and the replies that are waited for. Pure.

A call whose connection is lost is made again on the next one, unless doing it twice
is not the same as doing it once: then its caller is told that the outcome is unknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ipcbus.client.message import BaseMessage
from ipcbus.client.pending import Pending
from ipcbus.client.sayable import check_call, ref
from ipcbus.errors import Disconnected, InvalidMessage, IpcbusError, UsageError
from ipcbus.protocol.codec import Frames, encode
from ipcbus.protocol.limits import MAX_HEAD
from ipcbus.protocol.messages import Answer, Call

ONCE = frozenset(
    {
        "rename",
        "settle",
        "replay",
        "drop",
        "invite",
        "redeem",
        "revoke",
        "limit",
        "backup",
        "shutdown",
        "blob_write",
    }
)
"""Calls that are not made again by themselves."""


class Asked(Pending[tuple[Any, bytes]]):
    """A call under way; resolves to the value and the body of its answer.

    Raises `InvalidMessage` or `BoundExceeded` for what cannot be said.
    """

    __slots__ = ("args", "body", "name")

    def __init__(self, name: str, args: Sequence[Any], body: bytes = b"") -> None:
        super().__init__()
        self.args = list(args)
        check_call(name, self.args, body)
        self.name = name
        self.body = body

    @property
    def what(self) -> str:  # type: ignore[override]
        return f"the answer to {self.name}"


class Awaited(Pending[BaseMessage]):
    """The reply to message `id`, or its bounce. `taken`: it is its waiter's now."""

    __slots__ = ("id", "taken")

    what = "a reply"

    def __init__(self, id_: str) -> None:
        super().__init__()
        self.id = ref("id", id_)
        self.taken = False

    def facts(self) -> dict[str, Any]:
        return {"id": self.id}


class Calling:
    """Attributes:
    waiting: calls not said on this connection.
    flying: calls said and not answered, by ref.
    awaited: who waits for the reply to a message, by its id.
    network: for errors.
    """

    def __init__(self) -> None:
        self.waiting: deque[Asked] = deque()
        self.flying: dict[int, Asked] = {}
        self.awaited: dict[str, list[Awaited]] = {}
        self.network = ""
        self._unsaid: dict[str, None] = {}
        self._said: dict[int, str] = {}

    def call(self, asked: Asked) -> None:
        self.waiting.append(asked)

    def wait_for(self, awaited: Awaited) -> None:
        """From now on the reply to `awaited.id` goes there."""
        self.awaited.setdefault(awaited.id, []).append(awaited)
        self._unsaid[awaited.id] = None

    def give_up(self, awaited: Awaited) -> None:
        """Nobody waits there any more; a reply that still comes is ordinary mail."""
        waiting = self.awaited.get(awaited.id, [])
        if awaited in waiting:
            waiting.remove(awaited)
        if not waiting:
            self.awaited.pop(awaited.id, None)
            self._unsaid.pop(awaited.id, None)

    def replied(self, message: BaseMessage) -> bool:
        """Whether this delivery was waited for; then it is handed over."""
        for awaited in (waiting := self.awaited.pop(message.header.reply_to or "", [])):
            awaited.resolve(message)
        return bool(waiting)

    def is_busy(self) -> bool:
        return bool(self.waiting or self.awaited)

    def said(self, next_ref: Callable[[], int]) -> Iterator[Frames]:
        """All that waits. What cannot be said after all fails alone."""
        while self._unsaid:
            id_ = next(iter(self._unsaid))
            del self._unsaid[id_]
            ref = next_ref()
            self._said[ref] = id_
            yield encode(Call(ref, "await", [id_], b""))
        while self.waiting:
            asked = self.waiting.popleft()
            try:
                frames = _frames(ref := next_ref(), asked)
            except UsageError as error:
                asked.fail(error)
                continue
            self.flying[ref] = asked
            yield frames

    def answered(self, answer: Answer) -> None:
        self._said.pop(answer.ref, None)
        asked = self.flying.pop(answer.ref, None)
        if asked is not None:
            asked.resolve((answer.value, answer.body))

    def refused(self, ref: int, error: IpcbusError) -> bool:
        """False if it was no call of ours."""
        asked = self.flying.pop(ref, None)
        if asked is not None:
            asked.fail(error)
            return True
        id_ = self._said.pop(ref, None)
        for awaited in self.awaited.pop(id_ or "", []):
            awaited.fail(error)
        return id_ is not None

    def lost(self) -> None:
        flying, self.flying = self.flying, {}
        again = [asked for asked in flying.values() if asked.name not in ONCE]
        self.waiting.extendleft(reversed(again))
        self._said.clear()
        self._unsaid = dict.fromkeys(self.awaited)
        for asked in flying.values():
            if asked.name in ONCE:
                reason = f"whether {asked.name} was carried out is not known"
                asked.fail(Disconnected(network=self.network, reason=reason))

    def fail(self, error: IpcbusError) -> None:
        asked = [*self.flying.values(), *self.waiting]
        awaited = [one for waiting in self.awaited.values() for one in waiting]
        self.flying.clear()
        self.waiting.clear()
        self.awaited.clear()
        self._unsaid.clear()
        pendings: list[Pending[Any]] = [*asked, *awaited]
        for pending in pendings:
            pending.fail(error)


def _frames(ref: int, asked: Asked) -> Frames:
    """Raises `InvalidMessage`, whatever it is that cannot be packed."""
    try:
        frames = encode(Call(ref, asked.name, asked.args, asked.body))
    except Exception as error:
        reason = f"cannot be said: {error}"
        raise InvalidMessage(field=f"{asked.name!s:.40}", reason=reason) from error
    if len(frames[0]) > MAX_HEAD or not isinstance(frames[1], bytes):
        raise InvalidMessage(field=asked.name, reason="is too long")
    return frames
