"""What must hold between the parts of a broker after each turn.

network  accepted + replayed = acked + relayed + filtered + expired + bounced + dead
                               + waiting
link     offered = accepted + duplicate + filtered + refused + expired + waiting
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from ipcbus.broker.leasing import Leasing
from ipcbus.broker.links import Links
from ipcbus.broker.mailbox import TOP, Mailbox, Mailboxes
from ipcbus.broker.returns import LINK_ENDINGS
from ipcbus.broker.sessions import Sessions
from ipcbus.store.base import Mail

ENDINGS = ("acked", "relayed", "filtered", "expired", "bounced", "dead")
"""Counters of how entries end. `accepted` is their sum, and what waits, less what was
`replayed`; `removed` are dead letters that were dropped."""

DURABLE = frozenset({"accepted", *ENDINGS, "replayed", "removed"})


def is_durable(counter: str) -> bool:
    """Whether it is written down in the turn in which it rises: what must add up, and
    those of links (`prod:in_refused`), which must agree with the audit trail."""
    return counter in DURABLE or ":" in counter


def check_mailboxes(
    mail: Mail, boxes: Mailboxes, sessions: Sessions, leasing: Leasing
) -> None:
    """Leases are of sessions that are there, and each session holds what it counts."""
    held: dict[int, int] = {}
    due = set(leasing.due)
    assert not due or leasing.due[0] == min(due)
    for number, at in leasing.looks.items():
        assert (at, number) in due
    for box in boxes.values():
        box.check_invariants(mail)
        if box.leases:
            assert leasing.looks[box.number] <= box.earliest < inf
        for lease in box.leases.values():
            if lease.session is not None:
                assert sessions.get(lease.session.peer) is lease.session
                held[lease.session.number] = held.get(lease.session.number, 0) + 1
        if box.number not in leasing.resting and not leasing.pauses.hold(box.number):
            _check_pumped(box, sessions, leasing)
    for session in sessions:
        assert session.held == held.get(session.number, 0)


def _check_pumped(box: Mailbox, sessions: Sessions, leasing: Leasing) -> None:
    """Nothing waits that could go out."""
    if sessions.any_room(box.number):
        assert box.page or box.horizon == TOP
    if box.page:
        entry = box.page[0].entry
        mates = set(sessions.of_agent(box.number)) - leasing.busy(box, entry.attempt)
        assert not any(mate.has_room(entry.size) for mate in mates)


def check_counters(counters: Mapping[str, int], boxes: Mailboxes, links: Links) -> None:
    """The two sums above."""
    count = counters.get
    ended = sum(count(name, 0) for name in ENDINGS) - count("replayed", 0)
    waiting = sum(box.messages for box in boxes.values())
    assert count("accepted", 0) == ended + waiting, (counters, waiting)
    for link in links:
        gone = sum(count(f"{link.peer}:{how}", 0) for how in LINK_ENDINGS)
        offered = count(f"{link.peer}:offered", 0)
        assert offered == gone + link.box.messages, (counters, link.peer)
