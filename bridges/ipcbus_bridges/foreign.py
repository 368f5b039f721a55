"""Networks that are none of ipcbus: how a bridge finds the end for one, and a base for
those who write one.

`ipcbus bridge notes:/srv/notes dev` asks the entry points of group `ipcbus.bridges`
for one called `notes`, and calls it as `notes("notes:/srv/notes", "dev")` for an
`ends.End`. A name without a colon is always a network of ipcbus.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from importlib.metadata import entry_points
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, cast

import ipcbus
from ipcbus import links
from ipcbus_bridges.ends import RETRY_S, Done, End, Tell
from ipcbus_bridges.mail import Mail, come_in, go_out
from ipcbus_bridges.moving import GRANTED, Stream

__all__ = ["GROUP", "Foreign", "Mail", "NotTaken", "find_end"]

GROUP: Final = "ipcbus.bridges"

LOOP: Final = "5.4.6"
BAD_CONTENT: Final = "5.6.0"


def find_end(given: str) -> Callable[[str, str], End] | None:
    """What makes the end for a foreign network; None for one of ipcbus.

    Raises `UsageError` for a scheme that nobody brings.
    """
    scheme, colon, _ = given.partition(":")
    if not colon:
        return None
    found = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in found:
        known = ", ".join(sorted(found)) or "there are none"
        raise ipcbus.errors.UsageError(
            reason=f"no package brings bridges to {scheme}; installed: {known}"
        )
    make: Callable[[str, str], End] = found[scheme].load()
    return make


class NotTaken(Exception):
    """Raised by `put`. As in mail, a status of 4 means later, one of 5 means never."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Welcome(NamedTuple):
    """What a broker says of its network, as far as a link looks at it."""

    network: str
    network_id: str
    now_ms: int


class Foreign:
    """The end of a link in a foreign network. What derives from it writes

        begin    be there; an `OSError` says that it cannot now
        put      take what comes in
        poll     tell what waits to go out
        done     what went out is over
        refused  what went out is refused

    All are called on one thread of this end's own, and may wait. Each direction of a
    bridge has an end of its own: one is asked to `put`, the other one to `poll`.

    When one of them raises what it should not, the network is not there: the link says
    so, and begins anew a little later. Only a message that `put` stumbles over is
    refused, so that it does not stop the others.

    Attributes:
        network: its name: what stands before the colon.
        where: what stands behind it.
        peer: the network of ipcbus at the other side.
        network_id: of this network for ever; 16 hex digits.
        poll_s: seconds between two times of `poll`.
        retry_s: seconds after which it begins anew when it was lost, about.
        keep_ms: how long `put` knows ids again; rules hold mail for less.
    """

    poll_s = 1.0
    retry_s = RETRY_S
    keep_ms = 8 * 24 * 3600 * 1000
    _epoch = 0

    def __init__(self, given: str, peer: str) -> None:
        self.network, _, self.where = given.partition(":")
        self.network_id = blake2b(given.encode(), digest_size=8).hexdigest()
        self.peer = peer
        self._jobs: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = (
            SimpleQueue()
        )
        self._closed = threading.Event()
        self._tell: Tell = _nobody
        self._begin_anew()

    # --- for what derives from it ----------------------------------------------------

    def begin(self) -> None:
        """Connect. Called again when it was lost."""

    def put(self, mail: Mail) -> None:
        """Take a message; when this returns, it must be safe. The same id may come
        again if a bridge was killed. Raises `NotTaken`."""
        raise NotTaken("5.7.1", f"nothing can be sent to {self.network}")

    def poll(self) -> Iterable[Mail]:
        """What waits here for the other side, in order: the same again until it is
        `done` or `refused`."""
        return ()

    def done(self, mail: Mail) -> None:
        """The other side has it on disk, or it was of a topic that nobody there reads:
        forget it."""
        raise NotImplementedError

    def refused(self, mail: Mail, status: str, reason: str) -> None:
        """The other side will not have it: tell its sender, and forget it."""
        raise NotImplementedError

    def agents(self) -> Iterable[str]:
        """Who is there, for rules with `expose`. Must not wait."""
        return ()

    # --- an end of a link ------------------------------------------------------------

    def open(self, tell: Tell) -> None:
        self._tell = tell
        name = f"ipcbus-end-{self.network}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._queue(lambda: None)

    def meet(self, network_id: str, done: Done) -> None:
        done([self.keep_ms], None)

    def lead(self, terms: dict[str, Any], done: Done) -> None:
        # What it gives rises, also when the clock is put back.
        Foreign._epoch = max(_now(), Foreign._epoch + 1)
        done([True, Foreign._epoch, False], None)

    def report(self, said: dict[str, Any], done: Done) -> None:
        done([True, False, 0], None)

    def present(self, offset: int, done: Done) -> None:
        done([[[name, 1] for name in self.agents()], 0], None)

    def publish(self, rows: list[list[Any]], done: Done) -> None:
        done([0], None)

    def ask(self, name: str, *args: Any, body: bytes = b"") -> Any:
        raise ipcbus.errors.NotPermitted(reason=f"{self.network} takes no attachments")

    def credit(self, messages: int, size: int) -> None:
        self._queue(self._credited, messages, size)

    def settle(self, ref: int, groups: list[list[Any]]) -> None:
        self._queue(self._settled, ref, groups)

    def hand_over(
        self, ref: int, epoch: int, moves: list[links.Move], bodies: list[bytes]
    ) -> None:
        self._queue(self._handed_over, ref, moves, bodies)

    # --- its thread ------------------------------------------------------------------

    def _queue(self, job: Callable[..., None], *args: Any) -> None:
        self._jobs.put((job, args))

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self.begin()
                self._begin_anew()
                here = _Welcome(self.network, self.network_id, _now())
                self._tell(links.Up(cast(Any, here)))
                self._serve()
            except Exception as error:  # noqa: BLE001 - of code that is not ours
                self._tell(links.Down(_said(error)))
            seconds = random.uniform(self.retry_s / 2, self.retry_s)  # noqa: S311 - no secret
            self._closed.wait(seconds)

    def _begin_anew(self) -> None:
        """Nothing is under way."""
        self._most = (0, 0)
        self._out: dict[int, Mail] = {}
        self._put_off: dict[Stream, float] = {}
        self._last = 0
        self._next_poll = 0.0
        while not self._jobs.empty():
            self._jobs.get()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                wait = max(0.0, self._next_poll - time.monotonic())
                job, args = self._jobs.get(timeout=wait if self._most[0] else None)
                job(*args)
            except Empty:
                self._next_poll = time.monotonic() + self.poll_s
                self._deliver()

    # --- what comes in ---------------------------------------------------------------

    def _handed_over(
        self, ref: int, moves: list[links.Move], bodies: list[bytes]
    ) -> None:
        verdicts: list[list[Any]] = []
        later: dict[Stream, NotTaken] = {}
        for at, (move, body) in enumerate(zip(moves, bodies, strict=True)):
            stream = (move.sender, move.to, move.priority)
            try:
                if stream in later:
                    raise later[stream]  # or it would overtake what was put off
                self._take(move, body)
            except NotTaken as no:
                is_later = no.status.startswith("4")
                if is_later:
                    later[stream] = no
                facts = {"status": no.status, "reason": no.reason}
                verdicts.append([at, "deferred" if is_later else "refused", facts])
        self._tell(links.Verdicts(ref, verdicts))

    def _take(self, move: links.Move, body: bytes) -> None:
        if any(hop.endswith(f"/{self.network_id}") for hop in move.hops or ()):
            raise NotTaken(LOOP, f"it came through {self.network} before")
        try:
            self.put(come_in(move, body, self.peer, self.network))
        except (NotTaken, OSError):
            raise
        except Exception as error:
            raise NotTaken(BAD_CONTENT, _said(error)) from error

    # --- what goes out ---------------------------------------------------------------

    def _credited(self, messages: int, size: int) -> None:
        self._most = (messages, size)
        self._next_poll = 0.0

    def _deliver(self) -> None:
        """Give what waits, as far as the credit goes."""
        seqs: list[int] = []
        headers: list[links.Header] = []
        bodies: list[bytes] = []
        for mail in self._waiting():
            try:
                headers.append(go_out(mail, _now(), GRANTED))
            except ipcbus.errors.InvalidMessage as error:
                self.refused(mail, BAD_CONTENT, str(error))
                continue
            self._last += 1
            self._out[self._last] = mail
            seqs.append(self._last)
            bodies.append(mail.body)
        if seqs:
            deliver = links.Deliver(seqs, [1] * len(seqs), headers, bodies)
            self._tell(links.Delivered(deliver))

    def _waiting(self) -> Iterator[Mail]:
        """What is not under way, and may be."""
        now, (most, most_bytes) = time.monotonic(), self._most
        there = {mail.id for mail in self._out.values()}
        size = sum(len(mail.body) for mail in self._out.values())
        self._put_off = {s: until for s, until in self._put_off.items() if until > now}
        for mail in self.poll():
            if mail.id in there or _stream(mail) in self._put_off:
                continue
            size += len(mail.body)
            if len(there) >= most or (there and size > most_bytes):
                return
            there.add(mail.id)
            yield mail

    def _settled(self, ref: int, groups: list[list[Any]]) -> None:
        for outcome, _, status, reason, delay_ms, flat in groups:
            for mail in self._settled_mail(flat):
                if outcome == "refused":
                    self.refused(mail, status, reason)
                elif outcome == "deferred":
                    self._put_off[_stream(mail)] = time.monotonic() + delay_ms / 1000
                elif outcome != "released":
                    self.done(mail)
        self._next_poll = 0.0
        self._tell(links.Taken(ref))

    def _settled_mail(self, flat: list[int]) -> Iterator[Mail]:
        for first, count in zip(flat[::3], flat[1::3], strict=True):
            for seq in range(first, first + count):
                if seq in self._out:
                    yield self._out.pop(seq)


def _nobody(event: links.End) -> None:
    """Before it was opened."""


def _stream(mail: Mail) -> Stream:
    return mail.sender, mail.to, mail.priority


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else repr(error)


def _now() -> int:
    return int(time.time() * 1000)
