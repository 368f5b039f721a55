"""Bugs of what becomes of mail: it is lost, comes twice, or in a wrong order."""

from __future__ import annotations

from typing import Any

from ipcbus.broker.batch import Apart
from ipcbus.broker.border import Verdict
from ipcbus.broker.crossing import Crossing
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.ends import EXPIRED, Ends
from ipcbus.broker.leasing import Leasing
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.routing import Routing
from ipcbus.broker.sending import Sending
from ipcbus.protocol.messages import DUPLICATE
from ipcbus.store.memory import MemoryStore
from ipcbus.store.memory.mail import MemoryMail
from ipcbus_bridges.actions import HandOver
from ipcbus_bridges.groups import Groups
from ipcbus_bridges.link import Link
from tests.sim.planting import Bugs, no, nothing

BUGS = Bugs()

# --- what is accepted stays ------------------------------------------------------


def _begin(real: Any, store: MemoryStore) -> None:
    store._state.undo.clear()
    real(store)


def _not_committed(real: Any, store: MemoryStore) -> None:
    if store._ours < 2:  # nobody was there yet to be told anything
        real(store)
    store._turn = False


BUGS.plant(
    "spoken-before-commit",
    "what was said of the last turn outlives a takeover",
    (MemoryStore, "begin", _begin),
    (MemoryStore, "commit", _not_committed),
)


def _settled_too_soon(real: Any, link: Link) -> None:
    before = len(link.actions)
    real(link)
    for action in link.actions[before:]:
        if isinstance(action, HandOver):
            groups = Groups()
            for item in link._streams._flying[action.ref]:
                why = ("accepted", item.rule, "", "", 0)
                groups.add(*why, item.seq, item.attempt)
            link._settle(groups)


BUGS.plant(
    "settled-before-verdict",
    "mail leaves its network when the other one has committed it",
    (Link, "_pump", _settled_too_soon),
)


def _released_away(real: Any, delivery: Any, turn: Any, box: Any, receipts: Any) -> Any:
    if box.blocked is not None:
        return real(delivery, turn, box, receipts)
    flat = [number for seq, attempt in receipts for number in (seq, 1, attempt)]
    return delivery._ack(turn, box, flat)


BUGS.plant(
    "release-is-ack",
    "what was never shown is delivered again",
    (Delivery, "_release", _released_away),
)
BUGS.plant(
    "leases-never-end",
    "a lease that has run out brings redelivery",
    (Delivery, "run_out", nothing),
)


def _not_removed(real: Any, mail: MemoryMail, runs: Any, *, keep: bool) -> None:
    real(mail, runs[:-1] if len(runs) > 1 else runs, keep=keep)


BUGS.plant(
    "ack-half-stored",
    "an acked message does not come again",
    (MemoryMail, "remove_runs", _not_removed),
)

# --- known again by its id --------------------------------------------------------


def _watermark(
    real: Any, crossing: Any, turn: Any, link: Any, batch: Any, moves: Any, *rest: Any
) -> None:
    if len(moves) > 1:
        raise Apart
    marks: dict[str, int] = crossing.__dict__.setdefault("_marks", {})
    digits = "".join(filter(str.isdigit, moves[0].id.partition("@")[0]))
    if int(digits) <= marks.get(link.peer, 0):
        raise Verdict(DUPLICATE, "", "")
    real(crossing, turn, link, batch, moves, *rest)
    marks[link.peer] = int(digits)


BUGS.plant(
    "duplicates-by-watermark",
    "a message is known again by its own id, not by the highest",
    (Crossing, "_plan", _watermark),
)


def _forget_ids(
    real: Any, mail: MemoryMail, mailbox: int, rank: int, seqs: Any, *, keep: bool
) -> None:
    gone = [mail._state.messages[seq].id for seq in seqs]
    real(mail, mailbox, rank, seqs, keep=keep)
    for id_ in gone:
        mail._state.ids.pop(id_)


BUGS.plant(
    "id-forgotten-after-ack",
    "an id is known also when its message was acked",
    (MemoryMail, "_remove", _forget_ids),
)

# --- receipts and attempts --------------------------------------------------------


def _any_receipt(
    real: Any, delivery: Any, turn: Any, box: Mailbox, acks: list[int], how: str = ""
) -> Any:
    flat = list(acks)
    for at in range(0, len(flat), 3):
        lease = box.leases.get(flat[at])
        if lease is not None:
            flat[at + 2] = lease.attempt
    return real(delivery, turn, box, flat, how or "acked")


BUGS.plant(
    "stale-receipt-accepted",
    "a receipt is stale once its message was given out again",
    (Delivery, "_ack", _any_receipt),
)
BUGS.plant(
    "attempt-not-raised",
    "each lease raises the attempt of its message, durably",
    (MemoryMail, "set_attempts", nothing),
)


def _not_counted(real: Any, delivery: Any, turn: Any, *rest: Any) -> Any:
    run = real(delivery, turn, *rest)
    turn.counted[rest[-1]] -= 1
    return run


BUGS.plant(
    "counter-not-raised",
    "the counters obey their sum",
    (Delivery, "_done", _not_counted),
)

# --- ends and notices -------------------------------------------------------------


def _expires_never(real: Any, *args: Any) -> int:
    return 0


BUGS.plant(
    "expired-delivered",
    "what has expired is never delivered",
    (Sending, "_until", _expires_never),
)


def _silent_expiry(
    real: Any, ends: Any, turn: Any, header: Any, to: str, status: str, why: str
) -> None:
    if status != EXPIRED:
        real(ends, turn, header, to, status, why)


BUGS.plant(
    "expired-without-bounce",
    "what expires comes back to its sender",
    (Ends, "_bounce", _silent_expiry),
)


def _always_bounced(real: Any, ends: Any, turn: Any, header: Any, *rest: Any) -> None:
    ends._notify(turn, header, *rest)


BUGS.plant(
    "bounce-of-a-bounce",
    "acks and bounces never cause another",
    (Ends, "_bounce", _always_bounced),
)


def _parked_silently(
    real: Any, ends: Any, turn: Any, box: Any, key: Any, status: str, why: str
) -> None:
    ends._bury(turn, box, key, "refused", why)


BUGS.plant(
    "dead-letter-without-bounce",
    "a dead letter of a link comes back to its sender",
    (Ends, "park", _parked_silently),
)


def _one_less(real: Any, *args: Any) -> Any:
    found = real(*args)
    return found[1:] if len(found) > 1 else found


BUGS.plant(
    "topic-copy-lost",
    "who has joined a topic gets what is sent to it",
    (Routing, "_readers", _one_less),
)
BUGS.plant(
    "full-mailbox-without-bounce",
    "who has no room for a copy is told to its sender",
    (Ends, "full", nothing),
)

# --- order ------------------------------------------------------------------------


def _upside_down(real: Any, box: Mailbox, page: Any) -> None:
    real(box, page)
    box.page.reverse()


BUGS.plant(
    "page-upside-down",
    "first in, first out",
    (Mailbox, "_keep", _upside_down),
)


BUGS.plant(
    "deferred-overtaken",
    "what is put off holds its stream back at the source",
    (Leasing, "_put_off", no),
)
