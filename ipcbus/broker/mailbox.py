"""One mailbox in memory: the head of a list that lives in the store.

A mailbox may hold a million messages; memory holds at most a page of them. What is
in memory is told by one value, the **horizon**: every entry that is ready and not
leased and stands at or before the horizon is in `page`; what stands after it is in
the store alone. `TOP` means that all is in memory, `BOTTOM` that nothing is.

    new entry at or before the horizon   goes into the page, and is delivered from
                                         there without being read back
    new entry after it                   stays in the store
    page empty and horizon not TOP       the next page is loaded
    an entry comes back (nack, lost      the horizon falls below it, and what the
    session, lease run out), or the      page held from there on is forgotten; it
    page grows too long                  will be loaded again in its place
"""

from __future__ import annotations

from heapq import heappop, heappush, nsmallest

from ipcbus.broker.sessions import Session
from ipcbus.protocol.limits import MAX_BODY, MIB
from ipcbus.protocol.pieces import flags_of
from ipcbus.store.base import Mail
from ipcbus.store.records import Key, Waiting
from ipcbus.store.records import Mailbox as Total

Mark = tuple[int, int]
"""`(rank, seq)`: a place in a mailbox."""

BOTTOM: Mark = (-1, 0)
TOP: Mark = (10, 0)

PAGE_MESSAGES = 512
"""Entries read at once: enough for one full batch to a reader that has caught up."""

PAGE_BYTES = 4 * MIB
"""Bytes read at once; more than one body, so that a page is never empty for size."""

PAGE_MOST = 4 * PAGE_MESSAGES
"""Entries a page may grow to before its tail is left to the store again."""


def _mark(waiting: Waiting) -> Mark:
    return waiting.entry.rank, waiting.entry.seq


class Lease:
    """A delivery that must be settled in time.

    Attributes:
        session: who holds it; None when its session ended and left it standing.
        attempt: with `seq` the receipt; a receipt with another attempt is stale.
        deadline: in monotonic seconds.
        size: bytes counted against mailbox and session.
        flags: of the message's header; what its sender wants to be told.
    """

    __slots__ = ("attempt", "deadline", "flags", "rank", "session", "shared", "size")

    def __init__(
        self,
        session: Session | None,
        rank: int,
        attempt: int,
        deadline: float,
        size: int,
        shared: int,
        flags: int = 0,
    ) -> None:
        self.flags = flags
        self.session = session
        self.rank = rank
        self.attempt = attempt
        self.deadline = deadline
        self.size = size
        self.shared = shared


class Mailbox:
    """Attributes:
    number: of its agent.
    messages, bytes: totals over all its entries: ready, delayed, leased.
    page: heap of the entries in memory, none of them leased, none delayed.
    horizon: see above.
    leases: by seq. Each is of an entry in the store.
    earliest: no lease runs out before this time (monotonic seconds).
    saved: the totals as the store has them.
    arriving: messages of this turn that will join the page; none may overtake them.
    most: bounds in messages and bytes of its own; None for those of the network.
    blocked: of an egress mailbox, streams that are put off, and until when (UTC ms);
        what joins one meanwhile is put off as well. None for all other mailboxes.
    """

    __slots__ = (
        "_page_bytes",
        "arriving",
        "blocked",
        "bytes",
        "earliest",
        "horizon",
        "leases",
        "messages",
        "most",
        "number",
        "page",
        "saved",
    )

    def __init__(self, number: int, messages: int = 0, size: int = 0) -> None:
        self.number = number
        self.messages = messages
        self.bytes = size
        self.page: list[Waiting] = []
        self.horizon = BOTTOM if messages else TOP
        self.leases: dict[int, Lease] = {}
        self.earliest = float("inf")
        self.saved = (messages, size)
        self.arriving = 0
        self.most: tuple[int, int] | None = None
        self.blocked: dict[tuple[str, str, int], int] | None = None
        self._page_bytes = 0

    @property
    def waiting(self) -> int:
        """Messages that nobody holds."""
        return self.messages - len(self.leases)

    def drained(self) -> bool:
        """Whether a new message would be the first to go out."""
        return (
            not self.page
            and not self.arriving
            and self.horizon == TOP
            and not self.blocked
        )

    def count(self, messages: int, size: int) -> None:
        self.messages += messages
        self.bytes += size

    def push(self, waiting: Waiting) -> None:
        """An entry has become ready, and somebody reads this mailbox."""
        entry = waiting.entry
        if (entry.rank, entry.seq) > self.horizon:
            return
        heappush(self.page, waiting)
        self._page_bytes += entry.size
        if len(self.page) > PAGE_MOST or self._page_bytes > PAGE_BYTES:
            half = nsmallest(len(self.page) // 2, self.page)
            self.rewind(_mark(half[-1]) if half else BOTTOM)

    def forget(self) -> None:
        """Nobody reads this mailbox: keep nothing of it in memory."""
        self._keep([])
        self.horizon = BOTTOM if self.messages else TOP

    def rewind(self, mark: Mark) -> None:
        """Let the store have all from `mark` on; `mark` itself will be loaded again."""
        below = (mark[0], mark[1] - 1)
        if below < self.horizon:
            self.horizon = below
            self._keep([waiting for waiting in self.page if _mark(waiting) <= below])

    def head(self, mail: Mail) -> Waiting | None:
        """The next entry to deliver, loading a page if need be; it stays."""
        while not self.page:
            if self.horizon == TOP:
                return None
            self._load(mail)
        return self.page[0]

    def pop(self) -> Waiting:
        waiting = heappop(self.page)
        self._page_bytes -= waiting.entry.size
        return waiting

    def _load(self, mail: Mail) -> None:
        found = mail.page(self.number, self.horizon, PAGE_MESSAGES, PAGE_BYTES)
        size = sum(len(waiting.body) for waiting in found)
        # Fewer than asked for, and not for want of bytes: that was all there is.
        more = len(found) == PAGE_MESSAGES or size + MAX_BODY > PAGE_BYTES
        self.horizon = _mark(found[-1]) if found and more else TOP
        self._keep([w for w in found if w.entry.seq not in self.leases])

    def _keep(self, page: list[Waiting]) -> None:
        page.sort()
        self.page = page
        self._page_bytes = sum(waiting.entry.size for waiting in page)

    def lease(
        self, waiting: Waiting, session: Session, attempt: int, mono: float
    ) -> None:
        entry = waiting.entry
        deadline = mono + session.lease_s
        self.leases[entry.seq] = Lease(
            session,
            entry.rank,
            attempt,
            deadline,
            entry.size,
            entry.shared,
            flags_of(waiting.header),
        )
        self.earliest = min(self.earliest, deadline)

    def unlease(self, seq: int) -> Lease:
        """Take a lease away, also from its session."""
        lease = self.leases.pop(seq)
        if lease.session is not None:
            lease.session.give_back(lease.size)
        return lease

    def run_out(self, mono: float) -> list[int]:
        """Leases that have run out; looks at all, but only when one may have."""
        if mono < self.earliest:
            return []
        late = [seq for seq, lease in self.leases.items() if lease.deadline <= mono]
        self.earliest = min(
            (le.deadline for le in self.leases.values() if le.deadline > mono),
            default=float("inf"),
        )
        return late

    def key(self, seq: int, rank: int) -> Key:
        return Key(self.number, rank, seq)

    def check_invariants(self, mail: Mail) -> None:
        """The page is what the docstring says; leases are of entries in the store."""
        assert 0 <= len(self.leases) <= self.messages, (self.number, self.messages)
        assert self.bytes >= 0
        assert self.arriving == 0
        assert self._page_bytes == sum(w.entry.size for w in self.page)
        stored = mail.page(self.number, BOTTOM, self.messages + 1, 1 << 62)
        ready = {_mark(w) for w in stored if w.entry.seq not in self.leases}
        marks = {_mark(w) for w in self.page}
        assert len(marks) == len(self.page)
        assert marks == {mark for mark in ready if mark <= self.horizon}
        for seq, lease in self.leases.items():
            waiting = mail.get(self.key(seq, lease.rank))
            assert waiting is not None
            assert waiting.entry.attempt == lease.attempt
            assert self.earliest <= lease.deadline


class Mailboxes(dict[int, Mailbox]):
    """All mailboxes by number; one that never held anything is made when asked for."""

    def __init__(self, totals: list[Total]) -> None:
        super().__init__((total.mailbox, Mailbox(*total)) for total in totals)

    def __missing__(self, number: int) -> Mailbox:
        box = self[number] = Mailbox(number)
        return box
