"""Leasing: what waits is handed out to sessions that have credit for it.

`attempt` is durable and counts leases granted; it is raised in the transaction after
which the delivery is spoken, so a broker that dies cannot forget that a message was
shown. The lease itself lives in memory: a takeover ends all leases.

What came back `DOUBTED` times may be what kills its readers; and what they hold beside
it comes back with it, one attempt older each time. So a session has one of these at a
time, and the one that kills becomes a dead letter alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappush
from itertools import groupby, islice
from math import inf
from typing import Final

from ipcbus.broker.batch import Columns, Part, Taker
from ipcbus.broker.ends import Ends
from ipcbus.broker.mailbox import Lease, Mailbox, Mailboxes
from ipcbus.broker.pauses import Pauses
from ipcbus.broker.sessions import Session, Sessions
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.protocol.pieces import flags_of, unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import Waiting

DOUBTED: Final = 2
"""Leases after which a message that comes back is given alone. One would slow down all
that comes back after a takeover; what is left of `max_attempts` must be enough for
those who were held beside it."""


class Leasing:
    """Hands out what waits."""

    def __init__(
        self,
        mail: Mail,
        settings: Settings,
        boxes: Mailboxes,
        sessions: Sessions,
        ends: Ends,
        pauses: Pauses,
    ) -> None:
        self._mail = mail
        self.pauses = pauses
        self._settings = settings
        self._boxes = boxes
        self._sessions = sessions
        self._ends = ends
        self._doubted = min(DOUBTED, max(1, settings.max_attempts - 1))
        self.due: list[tuple[float, int]] = []
        """Heap: when to look at which mailbox for leases that have run out."""
        self.looks: dict[int, float] = {}
        """Each mailbox that may have leases -> its place in `due` that counts, at its
        `earliest` or before. It has others if leases were made shorter; they are
        passed over."""
        self.resting: set[int] = set()
        """Numbers of mailboxes from which nothing goes out before the next sweep: of
        links until all is woken whose time has come, because what is woken first may
        not be what comes first; and those in which a message that is late stands
        first."""

    # --- messages arrive ---------------------------------------------------

    def reserve(
        self, box: Mailbox, reply_to: str | None, sizes: list[int]
    ) -> list[Taker]:
        """Who gets the first of new messages at once, their credit taken; and how many
        wait.

        What is taken is stored as leased already, and nobody reads it back. `arrive` or
        `cancel` must follow. One with `reply_to` comes alone.
        """
        box.count(len(sizes), sum(sizes))
        if self.pauses.hold(box.number):
            box.arriving += len(sizes)
            return [(None, len(sizes))]
        if reply_to is not None:
            session = self._sessions.awaiting(box.number, reply_to)
            if session is not None:
                session.take(sizes[0])
                return [(session, 1)]
        takers: list[Taker] = []
        left = len(sizes)
        if box.drained():
            for session, count in self._takers(box, sizes):
                takers.append((session, count))
                left -= count
        if left:
            box.arriving += left
            takers.append((None, left))
        return takers

    def _takers(self, box: Mailbox, sizes: list[int]) -> Iterator[tuple[Session, int]]:
        """Who takes the first of these; sessions of one agent take turns."""
        only = self._sessions.only_reader(box.number)
        if only is not None:
            count = only.fits(sizes)
            if count:
                only.take(sum(sizes[:count]), count)
                yield only, count
            return
        for size in sizes:
            session = self._sessions.taker(box.number, size)
            if session is None:
                return
            session.take(size)
            yield session, 1

    def cancel(self, box: Mailbox, size: int, session: Session | None) -> None:
        """A message of a `reserve` was not stored."""
        box.count(-1, -size)
        if session is None:
            box.arriving -= 1
        else:
            session.give_back(size)

    def arrive(self, turn: Turn, part: Part) -> None:
        """New entries are in the store, as `reserve` has said."""
        box = part.box
        turn.touched.add(box.number)
        at = 0
        for session, count in part.takers:
            start, at = at, at + count
            if session is None:
                self._wait(part, start, at)
                continue
            self._grant(turn, box, session, part.rank, 1, part.columns.part(start, at))
            if part.reply_to is not None:
                session.awaits.pop(part.reply_to, None)

    def _wait(self, part: Part, start: int, end: int) -> None:
        box = part.box
        box.arriving -= end - start
        if not any(mate.credit for mate in self._sessions.of_agent(box.number)):
            if box.horizon > (part.rank, part.columns.seqs[start]):
                box.forget()
            return
        entries = part.entries(start, end, 0)
        _, _, headers, bodies = part.columns.part(start, end)
        box.push(list(map(Waiting, entries, headers, bodies)))

    # --- what waits is handed out ------------------------------------------

    def pump(self, turn: Turn, box: Mailbox) -> None:
        """Lease what credit allows; afterwards nothing waits that could go out."""
        if self.pauses.hold(box.number):
            return
        if box.blocked and self._ends.is_behind(turn.now.wall):
            self.resting.add(box.number)
            return
        self.resting.discard(box.number)
        raised: list[tuple[int, int, int, int]] = []
        while self._sessions.any_room(box.number):
            waiting = box.head(self._mail)
            if waiting is None:
                break
            entry = waiting.entry
            if _is_late(waiting, turn.now.wall):
                self._end_late(box, waiting)
                break
            if box.blocked and self._put_off(turn, box, waiting):
                continue
            busy = self.busy(box, entry.attempt)
            session = self._sessions.taker(box.number, entry.size, busy)
            if session is None:
                break
            for taken in self._next_alike(turn, box, session):
                attempt = taken[0].entry.attempt + 1
                raised += [(attempt, *waiting.entry[:3]) for waiting in taken]
                self._grant_waiting(turn, box, session, attempt, taken)
        if raised:
            self._mail.set_attempts(raised)

    def busy(self, box: Mailbox, attempt: int) -> set[Session | None]:
        """Sessions that must not have what was leased so often already, whatever room
        they have."""
        if not self._is_doubted(box, attempt):
            return set()
        doubted = [le for le in box.leases.values() if le.attempt > self._doubted]
        return {lease.session for lease in doubted}

    def _is_doubted(self, box: Mailbox, attempt: int) -> bool:
        """A bridge reads nothing of what it carries, and its mail is never given up."""
        return attempt >= self._doubted and box.blocked is None

    def _next_alike(
        self, turn: Turn, box: Mailbox, session: Session
    ) -> Iterator[list[Waiting]]:
        """Off the page: the next entry, and those behind it that `session` may have as
        well; in runs that are leased together."""
        most = 1
        if self._sessions.only_reader(box.number) is session and not box.blocked:
            most = session.credit - session.held
        ahead: list[Waiting] = []
        for waiting in islice(box.page, most):
            if _is_late(waiting, turn.now.wall):
                break
            if ahead and self._is_doubted(box, waiting.entry.attempt):
                break
            ahead.append(waiting)
        sizes = [waiting.entry.size for waiting in ahead]
        count = session.fits(sizes)
        box.pop(count)
        session.take(sum(sizes[:count]), count)
        for _, alike in groupby(ahead[:count], key=_leased_as):
            yield list(alike)

    def _end_late(self, box: Mailbox, waiting: Waiting) -> None:
        """The sweep of the next turn, due at once, takes it away. It looks at what the
        store says, which is later when a lease has outlasted the message."""
        entry = waiting.entry
        expires = unpack_header(waiting.header).expires_at
        if expires is not None and expires < entry.expires:
            self._mail.set_expires([(expires, entry.mailbox, entry.rank, entry.seq)])
            self._ends.watch(expires)
            box.rewind((entry.rank, entry.seq))
        self.resting.add(box.number)

    def _put_off(self, turn: Turn, box: Mailbox, waiting: Waiting) -> bool:
        """Whether the next entry joins a stream that is put off; then it waits too."""
        assert box.blocked is not None
        stream = stream_of(waiting)
        due = box.blocked.get(stream, 0)
        if due <= turn.now.wall:
            box.blocked.pop(stream, None)
            return False
        box.pop(1)
        entry = waiting.entry
        self._mail.set_due([(due, entry.mailbox, entry.rank, entry.seq)])
        self._ends.watch(due)
        return True

    def hand_reply(self, turn: Turn, session: Session, id_: str) -> bool:
        """Give `session` the first reply to `id_` that is there and nobody holds."""
        box = self._boxes[session.agent]
        waiting = None
        if not self.pauses.hold(box.number) and not session.leaving:
            waiting = self._free_reply(turn, box, id_)
        if waiting is None:
            session.awaits[id_] = None
            return False
        session.awaits.pop(id_, None)
        self._lease_again(turn, box, waiting, session)
        return True

    def _free_reply(self, turn: Turn, box: Mailbox, id_: str) -> Waiting | None:
        """The first that nobody holds. Those that are late end on the way."""
        passed: set[int] = set()

        def is_free(seq: int) -> bool:
            return seq not in box.leases and seq not in passed

        while True:
            waiting = self._mail.find_reply(box.number, id_, is_free)
            if waiting is None or not _is_late(waiting, turn.now.wall):
                return waiting
            self._end_late(box, waiting)
            passed.add(waiting.entry.seq)

    def hand_replies(self, turn: Turn, box: Mailbox) -> None:
        """What came back in this turn may be a reply that somebody awaits."""
        for session in self._sessions.of_agent(box.number):
            for id_ in list(session.awaits):
                self.hand_reply(turn, session, id_)

    def _lease_again(
        self, turn: Turn, box: Mailbox, waiting: Waiting, session: Session
    ) -> None:
        entry = waiting.entry
        attempt = entry.attempt + 1
        self._mail.set_attempts([(attempt, entry.mailbox, entry.rank, entry.seq)])
        box.rewind((entry.rank, entry.seq))
        session.take(entry.size)
        self._grant_waiting(turn, box, session, attempt, [waiting])

    def _grant_waiting(
        self,
        turn: Turn,
        box: Mailbox,
        session: Session,
        attempt: int,
        taken: list[Waiting],
    ) -> None:
        entries, headers, bodies = zip(*taken, strict=True)
        seqs = [entry.seq for entry in entries]
        sizes = [entry.size for entry in entries]
        columns = Columns(seqs, sizes, headers, bodies)
        self._grant(turn, box, session, entries[0].rank, attempt, columns)

    def _hold(
        self, box: Mailbox, seqs: Sequence[int], sizes: Sequence[int], lease: Lease
    ) -> None:
        box.lease(seqs, sizes, lease)
        self._watch(box)

    def _watch(self, box: Mailbox) -> None:
        """Its `earliest` may have changed."""
        if box.earliest < self.looks.get(box.number, inf):
            self.looks[box.number] = box.earliest
            heappush(self.due, (box.earliest, box.number))
            if len(self.due) > 2 * len(self.looks):
                self.due = [(at, number) for number, at in self.looks.items()]
                heapify(self.due)

    def _grant(
        self,
        turn: Turn,
        box: Mailbox,
        session: Session,
        rank: int,
        attempt: int,
        columns: Columns,
    ) -> None:
        """Lease entries of one rank and with the same flags. They are stored with this
        attempt, and the session's credit is taken."""
        seqs, sizes, headers, bodies = columns
        deadline = turn.now.mono + session.lease_s
        lease = Lease(session, rank, attempt, deadline, flags_of(headers[0]))
        self._hold(box, seqs, sizes, lease)
        turn.hand(session, seqs, attempt, headers, bodies)
        turn.counted["delivered"] += len(seqs)
        if attempt > 1:
            turn.counted["redelivered"] += len(seqs)


def _is_late(waiting: Waiting, wall: int) -> bool:
    """Whether its time is over. What was leased then has a later time in the store, so
    that it does not end under the hands of its reader; it is not given again."""
    if not waiting.entry.expires:
        return False
    expires = unpack_header(waiting.header).expires_at
    return waiting.entry.expires <= wall or (expires is not None and expires <= wall)


def _leased_as(waiting: Waiting) -> tuple[int, int, int]:
    entry = waiting.entry
    return entry.rank, entry.attempt, flags_of(waiting.header)


def stream_of(waiting: Waiting) -> tuple[str, str, int]:
    """What of an egress mailbox keeps its order among itself."""
    header = unpack_header(waiting.header)
    return header.sender, header.to, waiting.entry.rank
