"""What becomes of deliveries: settling, coming back, sessions that end.

A client that still works on a message after a takeover takes its lease up again by its
receipt, `(seq, attempt)`. A receipt is good while nobody else was given the message
since; then it is stale.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from heapq import heappop
from itertools import chain, groupby

from ipcbus.broker.ends import ROOM_MS
from ipcbus.broker.leasing import Leasing, stream_of
from ipcbus.broker.mailbox import Lease, Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.protocol.messages import RECEIPTS, Settle, Settled
from ipcbus.protocol.pieces import flags_of, runs, unroll
from ipcbus.store.records import Entry, Key, Run, Waiting


class Delivery(Leasing):
    """Hands out what waits, and takes in what became of it."""

    # --- what became of it -------------------------------------------------

    def settle(self, turn: Turn, session: Session, settle: Settle) -> None:
        box = self._boxes[session.agent]
        stale = self._ack(turn, box, settle.acks)
        for seq, attempt, delay_ms, reason in settle.nacks:
            if not self.nack(turn, box, seq, attempt, delay_ms, reason):
                stale.append(seq)
        for seq, attempt, lease_ms in settle.extends:
            if not self.extend(turn, box, session, seq, attempt, lease_ms):
                stale.append(seq)
        stale += self._release(turn, box, unroll(settle.releases))
        turn.say(session.peer, Settled(settle.ref, stale))
        turn.touched.add(box.number)

    def _ack(
        self, turn: Turn, box: Mailbox, acks: list[int], how: str = "acked"
    ) -> list[int]:
        """Returns those that were stale. `how` they end is what is counted."""
        done: list[Run] = []
        stale: list[int] = []
        late: list[tuple[int, int]] = []
        for seqs, attempt in _ranges(acks):
            at = 0
            for lease, same in groupby([box.leases.get(seq) for seq in seqs]):
                start, at = at, at + len(list(same))
                if lease is not None and lease.attempt == attempt:
                    done.append(self._done(turn, box, seqs[start:at], lease, how))
                    continue
                if lease is None:
                    late += [(seq, attempt) for seq in seqs[start:at]]
                else:
                    stale += seqs[start:at]
        unleased = self._unleased(box, late)
        for seq, attempt in late:
            if (seq, attempt) in unleased:
                lease = self._take_up(turn, box, unleased[seq, attempt])
                one = range(seq, seq + 1)
                done.append(self._done(turn, box, one, lease, how))
            else:
                stale.append(seq)
        if done:
            self._mail.remove_runs(done, keep=self._settings.history_ms > 0)
            turn.touched.add(box.number)
        return stale

    def _done(
        self, turn: Turn, box: Mailbox, seqs: range, lease: Lease, how: str
    ) -> Run:
        """Leases of one value end well; what is to be removed."""
        size = box.unlease(seqs)
        if lease.flags & RECEIPTS:
            for seq in seqs:
                self._ends.receipt(turn, box, Key(box.number, lease.rank, seq), how)
        box.count(-len(seqs), -size)
        turn.counted[how] += len(seqs)
        return Run(box.number, lease.rank, seqs[0], seqs[-1])

    def ack(self, turn: Turn, box: Mailbox, seq: int, attempt: int) -> bool:
        return not self._ack(turn, box, [seq, 1, attempt])

    def relay(
        self, turn: Turn, box: Mailbox, receipts: list[tuple[int, int]], how: str
    ) -> list[int]:
        """A bridge is done with these. Returns those that were stale."""
        return self._ack(turn, box, runs(receipts), how)

    def put_off(
        self, turn: Turn, box: Mailbox, seq: int, attempt: int, delay_ms: int
    ) -> bool:
        """A bridge cannot hand this over yet: it comes again after the delay, and its
        stream waits with it."""
        lease = self._held(turn, box, seq, attempt)
        if lease is None:
            return False
        waiting = self._mail.get(Key(box.number, lease.rank, seq))
        assert waiting is not None
        assert box.blocked is not None
        due = turn.now.wall + max(1, delay_ms)
        stream = stream_of(waiting)
        box.blocked[stream] = max(due, box.blocked.get(stream, 0))
        self._come_back(turn, box, seq, "", delay_ms=max(1, delay_ms))
        return True

    def release(
        self, turn: Turn, box: Mailbox, receipts: list[tuple[int, int]]
    ) -> list[int]:
        return self._release(turn, box, receipts)

    def key_of(self, turn: Turn, box: Mailbox, seq: int, attempt: int) -> Key | None:
        """Where a leased entry stands; None if the receipt is stale."""
        lease = self._held(turn, box, seq, attempt)
        return None if lease is None else Key(box.number, lease.rank, seq)

    def let_go(self, box: Mailbox, seq: int) -> None:
        box.unlease([seq])

    def nack(
        self,
        turn: Turn,
        box: Mailbox,
        seq: int,
        attempt: int,
        delay_ms: int,
        reason: str | None,
    ) -> bool:
        """Refused by its receiver: again after the delay, or a dead letter."""
        lease = self._held(turn, box, seq, attempt)
        if lease is None:
            return False
        turn.counted["nacked"] += 1
        self._come_back(turn, box, seq, reason or "refused by its receiver", delay_ms)
        return True

    def extend(
        self,
        turn: Turn,
        box: Mailbox,
        session: Session | None,
        seq: int,
        attempt: int,
        lease_ms: int,
    ) -> bool:
        """A longer lease from now; a lease lost in a takeover is taken up again.

        It moves to the session that asks, if one does: of two connections of a client
        the older may not be known to be dead yet.
        """
        lease = self._held(turn, box, seq, attempt, session)
        if lease is None:
            return False
        if session is not None and lease.session is not session:
            if lease.session is not None:
                lease.session.give_back(box.sizes[seq])
            session.take(box.sizes[seq])
            lease = lease._replace(session=session)
        box.change(seq, lease._replace(deadline=turn.now.mono + lease_ms / 1000))
        self._watch(box)
        return True

    def _release(
        self, turn: Turn, box: Mailbox, receipts: list[tuple[int, int]]
    ) -> list[int]:
        """Never shown to anybody: back in its place, and the attempt not counted."""
        stale = []
        lowered = []
        for seq, attempt in receipts:
            lease = box.leases.get(seq)
            if lease is None or lease.attempt != attempt:
                stale.append(seq)
                continue
            box.unlease([seq])
            lowered.append((attempt - 1, box.number, lease.rank, seq))
            self._expire_again(lease, Key(box.number, lease.rank, seq))
            box.rewind((lease.rank, seq))
        if lowered:
            self._mail.set_attempts(lowered)
            turn.touched.add(box.number)
            turn.returned.add(box.number)
        return stale

    def _held(
        self,
        turn: Turn,
        box: Mailbox,
        seq: int,
        attempt: int,
        session: Session | None = None,
    ) -> Lease | None:
        """The lease of a receipt, taken up again if nobody was given it since."""
        lease = box.leases.get(seq)
        if lease is not None:
            return lease if lease.attempt == attempt else None
        waiting = self._unleased(box, [(seq, attempt)]).get((seq, attempt))
        return None if waiting is None else self._take_up(turn, box, waiting, session)

    def _take_up(
        self,
        turn: Turn,
        box: Mailbox,
        waiting: Waiting,
        session: Session | None = None,
    ) -> Lease:
        entry = waiting.entry
        box.rewind((entry.rank, entry.seq))
        if session is not None:
            session.take(entry.size)
        flags = flags_of(waiting.header)
        lease = Lease(session, entry.rank, entry.attempt, turn.now.mono, flags)
        self._hold(box, [entry.seq], [entry.size], lease)
        return lease

    def _unleased(
        self, box: Mailbox, receipts: list[tuple[int, int]]
    ) -> dict[tuple[int, int], Waiting]:
        """The entries of receipts that have no lease: after a takeover, or late.

        Most are stale then, and a frame has room for thousands. So each look is for the
        next entry that there is, whatever its rank, and passes all receipts before it.
        """
        found: dict[tuple[int, int], Waiting] = {}
        asked = set(receipts)
        wanted = sorted({seq for seq, attempt in asked if attempt})
        if not wanted or not box.waiting:
            return found
        mark = (0, wanted[0] - 1)
        while some := self._mail.page(box.number, mark, 1, 1):
            entry = some[0].entry
            if entry.attempt and (entry.seq, entry.attempt) in asked:
                found[entry.seq, entry.attempt] = some[0]
            at = bisect_right(wanted, entry.seq)
            if at < len(wanted):
                mark = (entry.rank, wanted[at] - 1)
            else:
                mark = (entry.rank + 1, wanted[0] - 1)
        return found

    # --- coming back -------------------------------------------------------

    def _come_back(
        self, turn: Turn, box: Mailbox, seq: int, reason: str, delay_ms: int = 0
    ) -> None:
        """A leased entry waits again, or is given up after too many attempts."""
        lease = box.leases[seq]
        given_up = box.blocked is None and lease.attempt >= self._settings.max_attempts
        if given_up and not self._ends.can_tell():
            self.shelve(turn, box, seq)
            return
        box.unlease([seq])
        key = Key(box.number, lease.rank, seq)
        turn.touched.add(box.number)
        if given_up:
            self._ends.bury(turn, box, key, reason)
            return
        self._expire_again(lease, key)
        box.rewind((lease.rank, seq))
        turn.returned.add(box.number)
        if delay_ms:
            due = turn.now.wall + delay_ms
            self._mail.set_due([(due, *key)])
            self._ends.watch(due)

    def shelve(self, turn: Turn, box: Mailbox, seq: int) -> None:
        """Its end has come, but the store has no room to tell its sender. So it is
        leased to nobody until it is asked again; that takes no room either."""
        lease = box.leases[seq]
        if lease.session is not None:
            lease.session.give_back(box.sizes[seq])
        turn.touched.add(box.number)
        deadline = turn.now.mono + ROOM_MS / 1000
        box.change(seq, lease._replace(session=None, deadline=deadline))
        self._watch(box)

    def _expire_again(self, lease: Lease, key: Key) -> None:
        """What has expired while it was held: the sweep of the next turn, due at once,
        takes it away. A takeover forgets that; then it ends when its lease would have,
        unless its header tells (see `leasing`)."""
        if lease.over:
            self._mail.set_expires([(lease.over, *key)])
            self._ends.watch(lease.over)

    def lose(self, turn: Turn, session: Session) -> None:
        """A session ended without a word: what it held comes back."""
        for box, seq in self._held_by(session):
            self._come_back(turn, box, seq, "its receiver's session was lost")

    def bye(self, turn: Turn, session: Session, *, keep_leases: bool) -> None:
        """A session ends. Leases stay for others of the agent to settle, or what is
        held was never shown and is released."""
        held = list(self._held_by(session))
        if keep_leases:
            for box, seq in held:
                session.give_back(box.sizes[seq])
                box.change(seq, box.leases[seq]._replace(session=None))
            return
        for box, seq in held:
            self._release(turn, box, [(seq, box.leases[seq].attempt)])
            turn.touched.add(box.number)

    def _held_by(self, session: Session) -> Iterator[tuple[Mailbox, int]]:
        if session.agent and session.held:
            box = self._boxes[session.agent]
            held = [seq for seq, le in box.leases.items() if le.session is session]
            yield from ((box, seq) for seq in sorted(held))

    def run_out(self, turn: Turn) -> None:
        """Leases whose time is over come back, and what rests has another look."""
        turn.touched |= self.resting
        mono = turn.now.mono
        while self.due and self.due[0][0] <= mono:
            at, number = heappop(self.due)
            if self.looks.get(number) != at:
                continue
            del self.looks[number]
            box = self._boxes[number]
            for seq in sorted(box.run_out(mono)):
                self._come_back(turn, box, seq, "its lease ran out")
            if box.leases:
                self._watch(box)

    def woken(self, turn: Turn, entry: Entry) -> None:
        """A delayed entry is ready: the store has it in its place again."""
        box = self._boxes[entry.mailbox]
        box.rewind((entry.rank, entry.seq))
        turn.touched.add(entry.mailbox)
        turn.returned.add(entry.mailbox)


def _ranges(flat: list[int]) -> list[tuple[range, int]]:
    """The seqs and the attempt of each run; no receipt is among them twice."""
    ranges = _split(flat)
    seqs = [seqs for seqs, _ in ranges]
    if len(ranges) > 1 and len(set(chain(*seqs))) < sum(map(len, seqs)):
        return _split(runs(sorted(set(unroll(flat)))))
    return ranges


def _split(flat: list[int]) -> list[tuple[range, int]]:
    columns = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return [
        (range(first, first + count), attempt)
        for first, count, attempt in columns
        if count
    ]
