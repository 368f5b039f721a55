"""What became of the messages that a bridge took out of an egress mailbox.

    accepted, duplicate   the other network has them: they leave the mailbox
    filtered              of a topic, and no rule carries them: they leave it too
    deferred              again after a delay; their stream waits with them
    refused               a dead letter of the link, and a bounce to the sender
    released              back in their places, as if never taken

Of one link offered = accepted + duplicate + filtered + refused + expired + what waits:
`check_invariants` holds the counters to that sum.
"""

from __future__ import annotations

from collections import Counter

from ipcbus.broker.delivery import Delivery
from ipcbus.broker.ends import NO_SUCH_AGENT, Ends
from ipcbus.broker.links import OUT, Link, Links
from ipcbus.broker.sessions import Session
from ipcbus.broker.trail import runs_of
from ipcbus.broker.turn import Turn
from ipcbus.errors import LinkFenced
from ipcbus.protocol.messages import (
    ACCEPTED,
    DEFERRED,
    DUPLICATE,
    FILTERED,
    REFUSED,
    RefusedCall,
    Return,
    Settled,
)
from ipcbus.protocol.pieces import unpack_header, unroll
from ipcbus.store.base import Store
from ipcbus.store.records import Audit

Receipts = list[tuple[int, int]]

ENDINGS = {
    ACCEPTED: "relayed",
    DUPLICATE: "relayed",
    FILTERED: "filtered",
}
"""Outcome -> how the entry ends for the network."""

LINK_ENDINGS = ("accepted", "duplicate", "filtered", "refused", "expired")


class Returns:
    def __init__(
        self, store: Store, links: Links, delivery: Delivery, ends: Ends
    ) -> None:
        self._store = store
        self._links = links
        self._delivery = delivery
        self._ends = ends

    def take(self, turn: Turn, session: Session, said: Return) -> None:
        link = self._links.of(session)
        if link.leader is not session:
            error = LinkFenced(peer=link.peer)
            turn.say(session.peer, RefusedCall(said.ref, *error.to_wire()))
            return
        stale: list[int] = []
        trail: list[Audit] = []
        for outcome, rule, status, reason, delay_ms, flat in said.groups:
            receipts = list(dict.fromkeys(unroll(flat)))
            missed = self._settle(
                turn, link, outcome, status, reason, delay_ms, receipts
            )
            stale += missed
            # One that was delivered twice may be here twice: one receipt of it is good.
            done = Counter(seq for seq, _ in receipts) - Counter(missed)
            if outcome in ENDINGS or outcome == REFUSED:
                turn.counted[f"{link.peer}:{outcome}"] += len(done)
                why = ("", "", "", rule, outcome, status, reason)
                at = (0, turn.now.wall, link.number, OUT)
                trail += [Audit(*at, *run, *why) for run in runs_of(done)]
        self._store.crossings.record(trail)
        turn.touched.add(link.number)
        turn.say(session.peer, Settled(said.ref, stale))

    def _settle(
        self,
        turn: Turn,
        link: Link,
        outcome: str,
        status: str,
        reason: str,
        delay_ms: int,
        receipts: Receipts,
    ) -> list[int]:
        """Returns those that were stale."""
        box, delivery = link.box, self._delivery
        if outcome in ENDINGS:
            return delivery.relay(turn, box, receipts, ENDINGS[outcome])
        if outcome == DEFERRED:
            return [
                seq
                for seq, attempt in receipts
                if not delivery.put_off(turn, box, seq, attempt, delay_ms)
            ]
        if outcome == REFUSED:
            return [
                seq
                for seq, attempt in receipts
                if not self._park(turn, link, seq, attempt, status, reason)
            ]
        return delivery.release(turn, box, receipts)

    def _park(
        self, turn: Turn, link: Link, seq: int, attempt: int, status: str, reason: str
    ) -> bool:
        """False if the receipt was stale; so is one for whose bounce there is no room:
        it comes again, and will be refused again."""
        key = self._delivery.key_of(turn, link.box, seq, attempt)
        if key is None:
            return False
        if not self._ends.can_tell():
            self._delivery.shelve(turn, link.box, seq)
            return False
        if status == NO_SUCH_AGENT:
            waiting = self._store.mail.get(key)
            assert waiting is not None
            header = unpack_header(waiting.header)
            near = self._links.near(link, header.sender, header.to, turn.now.mono)
            reason += f"; near names: {', '.join(near)}" if near else ""
        self._delivery.let_go(link.box, seq)
        self._ends.park(turn, link.box, key, status, reason)
        return True
