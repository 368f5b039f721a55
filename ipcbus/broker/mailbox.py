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

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ipcbus.broker.sessions import Session
from ipcbus.protocol.limits import MAX_BODY, MIB
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


class Lease(NamedTuple):
    """Deliveries that must be settled in time: a value, which all have in common that
    were leased together.

    Attributes:
        session: who holds them; None when its session ended and left them standing.
        attempt: with `seq` the receipt; a receipt with another attempt is stale.
        deadline: in monotonic seconds.
        flags: of their headers; what their senders want to be told.
        over: when it expired (UTC ms) while it was held; 0 if it did not. Meanwhile the
            store has a later time.
    """

    session: Session | None
    rank: int
    attempt: int
    deadline: float
    flags: int = 0
    over: int = 0


class Mailbox:
    """Attributes:
    number: of its agent.
    messages, bytes: totals over all its entries: ready, delayed, leased.
    page: the entries in memory, in order, none of them leased, none delayed.
    horizon: see above.
    leases: by seq. Each is of an entry in the store.
    sizes: by seq, of what is leased: bytes counted against mailbox and session.
    earliest: no lease runs out before this time (monotonic seconds).
    saved: the totals as the store has them.
    arriving: messages of this turn that will join the page; none may overtake them.
    newest: highest seq that came since the broker began and is no ack.
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
        "newest",
        "number",
        "page",
        "saved",
        "sizes",
    )

    def __init__(self, number: int, messages: int = 0, size: int = 0) -> None:
        self.number = number
        self.messages = messages
        self.bytes = size
        self.page: deque[Waiting] = deque()
        self.horizon = BOTTOM if messages else TOP
        self.leases: dict[int, Lease] = {}
        self.sizes: dict[int, int] = {}
        self.earliest = float("inf")
        self.saved = (messages, size)
        self.arriving = 0
        self.newest = 0
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

    def push(self, arrived: list[Waiting]) -> None:
        """Entries of one rank, newer than any other, have become ready, and somebody
        reads this mailbox."""
        if _mark(arrived[0]) > self.horizon:
            return
        page = self.page
        late = bool(page) and arrived[0] < page[-1]
        page.extend(arrived)
        if late:
            self.page = page = deque(sorted(page))
        self._page_bytes += sum([waiting.entry.size for waiting in arrived])
        if len(page) > PAGE_MOST or self._page_bytes > PAGE_BYTES:
            half = len(page) // 2
            self.rewind(_mark(page[half]) if half else BOTTOM)

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

    def pop(self, count: int) -> None:
        """Take the next entries off the page."""
        page = self.page
        self._page_bytes -= sum([page.popleft().entry.size for _ in range(count)])

    def _load(self, mail: Mail) -> None:
        found = mail.page(self.number, self.horizon, PAGE_MESSAGES, PAGE_BYTES)
        size = sum(len(waiting.body) for waiting in found)
        # Fewer than asked for, and not for want of bytes: that was all there is.
        more = len(found) == PAGE_MESSAGES or size + MAX_BODY > PAGE_BYTES
        self.horizon = _mark(found[-1]) if found and more else TOP
        self._keep([w for w in found if w.entry.seq not in self.leases])

    def _keep(self, page: list[Waiting]) -> None:
        self.page = deque(sorted(page))
        self._page_bytes = sum(waiting.entry.size for waiting in page)

    def lease(self, seqs: Sequence[int], sizes: Sequence[int], lease: Lease) -> None:
        """Of these entries; their session has taken them."""
        self.sizes.update(zip(seqs, sizes, strict=True))
        self.leases.update(dict.fromkeys(seqs, lease))
        self.earliest = min(self.earliest, lease.deadline)

    def unlease(self, seqs: Sequence[int]) -> int:
        """Take leases of one value away, also from their session; their bytes."""
        lease = self.leases[seqs[0]]
        size = sum(map(self.sizes.pop, seqs))
        for seq in seqs:
            del self.leases[seq]
        if lease.session is not None:
            lease.session.give_back(size, len(seqs))
        return size

    def change(self, seq: int, lease: Lease) -> None:
        """Another lease for one that is leased."""
        self.leases[seq] = lease
        self.earliest = min(self.earliest, lease.deadline)

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
        found = mail.page(self.number, BOTTOM, self.messages + 1, 1 << 62)
        stored = {waiting.entry.seq: waiting.entry for waiting in found}
        ready = {(e.rank, seq) for seq, e in stored.items() if seq not in self.leases}
        marks = {_mark(w) for w in self.page}
        assert len(marks) == len(self.page)
        assert marks == {mark for mark in ready if mark <= self.horizon}
        assert self.leases.keys() == self.sizes.keys()
        for seq, lease in self.leases.items():
            entry = stored[seq]
            assert entry.rank == lease.rank
            assert entry.attempt == lease.attempt
            assert entry.size == self.sizes[seq]
            assert self.earliest <= lease.deadline


class Mailboxes(dict[int, Mailbox]):
    """All mailboxes by number; one that never held anything is made when asked for."""

    def __init__(self, totals: list[Total]) -> None:
        super().__init__((total.mailbox, Mailbox(*total)) for total in totals)

    def __missing__(self, number: int) -> Mailbox:
        box = self[number] = Mailbox(number)
        return box
