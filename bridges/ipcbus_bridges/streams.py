"""Messages under way over a link, kept in the order of their streams. PURE.

Of a stream one batch is handed over at a time; what comes meanwhile waits here, within
the credit of the link. A batch may be of many streams, and several batches of different
streams are under way at once. When a message is put off, so is all of its stream: what
waits here, and (`taken`) what the source has sent before it knew.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ipcbus_bridges.groups import Groups
from ipcbus_bridges.moving import Item, Stream

BATCH: Final = 1024
BATCH_BYTES: Final = 256 * 1024
HEAD_BYTES: Final = 240 * 1024
"""Bounds of one hand-over: those of the protocol, with room for its frame."""

MOST_FLYING: Final = 4
"""Batches of different streams that are under way at once."""

FIRST_RETRY_MS: Final = 500
LAST_RETRY_MS: Final = 15_000
"""What is put off comes again after a time that doubles between these."""

MOST_RETRIES: Final = 10_000
"""Streams whose retry times are remembered."""

TOPIC_NOT_WANTED: Final = ("5.1.1", "5.4.6")
"""Why a topic's message does not arrive although nothing is wrong: nobody reads it, or
it was there before."""


class Judged(NamedTuple):
    """What verdicts came to.

    Attributes:
        put_off: streams that wait, and for how many ms.
        passed: something arrived.
        why: of the first that was put off; "" if none was.
    """

    groups: Groups
    put_off: dict[Stream, int]
    passed: bool
    why: str


class Streams:
    """Invariants: a stream is in `_waiting` while anything of it is here or under way;
    it is in `_idle` if something waits and nothing of it is under way or fetched."""

    def __init__(self) -> None:
        self._waiting: dict[Stream, deque[Item]] = {}
        self._idle: OrderedDict[Stream, None] = OrderedDict()
        self._flying: dict[int, list[Item]] = {}
        self._fetching: dict[Stream, Item] = {}
        self._retries: OrderedDict[Stream, int] = OrderedDict()
        self._putting: dict[Stream, tuple[int, int]] = {}
        """Streams put off in a settlement that is not committed: its ref, the delay."""
        self._attempts: dict[int, int] = {}
        """Of what is here: seq -> the attempt by which the source knows it now."""

    def clear(self) -> None:
        """Nothing is under way any more."""
        for table in (self._waiting, self._idle, self._flying):
            table.clear()
        self._fetching.clear()
        self._putting.clear()
        self._attempts.clear()

    def count(self) -> tuple[int, int]:
        """Messages handed over without a verdict, and those that wait."""
        flying = sum(map(len, self._flying.values()))
        return flying, sum(map(len, self._waiting.values()))

    # --- in ------------------------------------------------------------------

    def delay(self, stream: Stream) -> int:
        """For how long a stream is put off that the source sends still; 0 if not."""
        return self._putting[stream][1] if stream in self._putting else 0

    def renew(self, seq: int, attempt: int) -> bool:
        """Whether a message that is delivered is here already: over a slow line it may
        wait for longer than its lease lasts. Then it is settled by its new receipt."""
        here = seq in self._attempts
        if here:
            self._attempts[seq] = attempt
        return here

    def put(self, item: Item) -> None:
        self._attempts[item.seq] = item.attempt
        waiting = self._waiting.get(item.stream)
        if waiting is None:
            self._waiting[item.stream] = deque([item])
            self._idle[item.stream] = None
        else:
            waiting.append(item)

    # --- out -----------------------------------------------------------------

    def take(self, ref: int) -> tuple[list[Item], list[Item]]:
        """The next batch to hand over as `ref`, and what needs its attachments first.

        Of streams that have nothing under way, the one that waits longest comes first.
        """
        batch: list[Item] = []
        fetches: list[Item] = []
        size = head = 0
        while self._idle and len(self._flying) < MOST_FLYING:
            stream = next(iter(self._idle))
            waiting = self._waiting[stream]
            if waiting[0].fetch:
                del self._idle[stream]
                self._fetching[stream] = waiting[0]
                fetches.append(waiting[0])
                continue
            began = len(batch)
            while waiting and len(batch) < BATCH and not waiting[0].fetch:
                item = waiting[0]
                size, head = size + len(item.body), head + item.head
                if batch and (size > BATCH_BYTES or head > HEAD_BYTES):
                    break
                batch.append(waiting.popleft())
            if len(batch) > began:
                del self._idle[stream]
            if (waiting and not waiting[0].fetch) or len(batch) == BATCH:
                break  # the batch is full
        if batch:
            self._flying[ref] = batch
        return batch, fetches

    # --- what became of it ---------------------------------------------------

    def judge(self, ref: int, exceptions: list[list[Any]]) -> Judged:
        """The verdicts of the destination on a batch."""
        batch = self._flying.pop(ref, [])
        told = {row[0]: (row[1], row[2]) for row in exceptions}
        judged = Judged(Groups(), {}, False, "")
        for at, item in enumerate(batch):
            outcome, facts = told.get(at, ("accepted", {}))
            if outcome == "deferred" and item.stream not in judged.put_off:
                judged.put_off[item.stream] = self._retry(item.stream, facts)
                said = f"{facts.get('status', '')} {facts.get('reason', '')}"
                judged = judged._replace(why=judged.why or said.strip())
            if outcome in ("accepted", "duplicate"):
                judged = judged if judged.passed else judged._replace(passed=True)
                if self._retries:
                    self._retries.pop(item.stream, None)
            self._add(judged, item, outcome, facts)
        self._free({item.stream for item in batch}, judged)
        return judged

    def _free(self, streams: set[Stream], judged: Judged) -> None:
        """These have nothing under way any more."""
        for stream in streams:
            if stream in judged.put_off:
                for item in self._waiting.pop(stream, ()):
                    self._add(judged, item, "deferred", {})
            elif self._waiting.get(stream):
                self._idle[stream] = None
            else:
                self._waiting.pop(stream, None)

    def put_off(self, ref: int, streams: dict[Stream, int]) -> None:
        """These are put off by the settlement `ref`."""
        for stream, delay in streams.items():
            self._putting[stream] = (ref, delay)

    def taken(self, ref: int) -> None:
        """The source has committed a settlement: from here on it holds back itself what
        was put off, and sends nothing of those streams until their time has come."""
        for stream in [s for s, (last, _) in self._putting.items() if last == ref]:
            del self._putting[stream]

    def is_fetched(self, item: Item) -> bool:
        """Whether this very message still waits for its attachments."""
        return self._fetching.get(item.stream) is item

    def fetched(self, item: Item, problem: str, *, later: bool) -> Judged | None:
        """The attachments of a message came, or cannot, or only `later`. None if it is
        not here now."""
        stream, judged = item.stream, Judged(Groups(), {}, False, "")
        if not self.is_fetched(item):
            return None
        del self._fetching[stream]
        waiting = self._waiting[stream]
        if problem and later:
            judged.put_off[stream] = self._retry(stream, {})
            judged = judged._replace(why=problem)
        elif problem:
            waiting.popleft()
            receipt = self._receipt(item)
            judged.groups.add("refused", item.rule, "5.6.1", problem, 0, *receipt)
        else:
            waiting[0] = item._replace(fetch=False)
        self._free({stream}, judged)
        return judged

    # --- given back ----------------------------------------------------------

    def release(self, *, flying: bool) -> Groups:
        """Give back what waits; what is under way, too, if `flying`."""
        groups = Groups()
        for item in self._held(flying=flying):
            groups.add("released", "", "", "", 0, *self._receipt(item))
        if flying:
            self._flying.clear()
        busy = {item.stream for batch in self._flying.values() for item in batch}
        self._waiting = {stream: deque() for stream in busy}
        self._idle.clear()
        self._fetching.clear()
        return groups

    def _held(self, *, flying: bool) -> Iterator[Item]:
        if flying:
            for batch in self._flying.values():
                yield from batch
        for waiting in self._waiting.values():
            yield from waiting

    def _retry(self, stream: Stream, facts: dict[str, Any]) -> int:
        """After how many ms a stream is tried again."""
        last = self._retries.pop(stream, 0)
        asked = facts.get("retry_ms")
        first = max(FIRST_RETRY_MS, asked if type(asked) is int else 0)
        wait = min(LAST_RETRY_MS, 2 * last if last else first)
        self._retries[stream] = wait
        if len(self._retries) > MOST_RETRIES:
            self._retries.popitem(last=False)
        return wait

    def _receipt(self, item: Item) -> tuple[int, int]:
        """Of a message that is not here any more."""
        return item.seq, self._attempts.pop(item.seq, item.attempt)

    def _add(
        self, judged: Judged, item: Item, outcome: str, facts: dict[str, Any]
    ) -> None:
        groups, receipt = judged.groups, self._receipt(item)
        if outcome in ("accepted", "duplicate"):
            groups.add(outcome, item.rule, "", "", 0, *receipt)
            return
        if outcome == "deferred":
            groups.add(
                outcome, item.rule, "", "", judged.put_off[item.stream], *receipt
            )
            return
        status, reason = str(facts.get("status", "")), str(facts.get("reason", ""))
        unwanted = item.move.to[:1] == "#" and status in TOPIC_NOT_WANTED
        what = "filtered" if unwanted else "refused"
        groups.add(what, item.rule, status, reason, 0, *receipt)
