"""Answers to the calls that settle messages, and those about dead letters and
attachments. Handlers are as in `broker.calls`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ipcbus.broker.calls import Desk, Handler
from ipcbus.broker.calls_past import ROW_OVERHEAD, WithBody, page
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import (
    InvalidMessage,
    NoSuchMessage,
    StaleLease,
)
from ipcbus.protocol.address import is_ref
from ipcbus.protocol.limits import (
    MAX_HEAD,
    MAX_LEASE_MS,
    MAX_TEXT,
    MAX_TTL_MS,
    MIN_LEASE_MS,
    PAGE,
)
from ipcbus.protocol.pieces import unpack_header
from ipcbus.store.records import Dead, Key

MOST_AWAITS = 1024
"""Replies that one session may wait for. Nobody says that it waits no longer, so the
oldest is forgotten for the next one; its reply goes by credit, as all mail does."""


def await_(desk: Desk, turn: Turn, session: Session, id_: str) -> Any:
    if not is_ref(id_):
        raise InvalidMessage(field="await.id", reason="is no id")
    session.awaits.pop(id_, None)
    found = desk.delivery.hand_reply(turn, session, id_)
    if len(session.awaits) > MOST_AWAITS:
        del session.awaits[next(iter(session.awaits))]
    return [found]


def settle(
    desk: Desk,
    turn: Turn,
    session: Session,
    action: str,
    id_: str,
    ms: int,
    reason: str | None,
) -> Any:
    """Settle by id what another session of the same agent was given."""
    row = desk.store.mail.find(id_)
    box = desk.boxes[session.agent]
    lease = None if row is None else box.leases.get(row.seq)
    if row is None or lease is None:
        raise StaleLease(id=id_)
    receipt = (turn, box, row.seq, lease.attempt)
    match action:
        case "ack":
            desk.delivery.ack(*receipt)
        case "nack" if ms <= MAX_TTL_MS and len(reason or "") <= MAX_TEXT:
            desk.delivery.nack(*receipt, ms, reason)
        case "extend" if MIN_LEASE_MS <= ms <= MAX_LEASE_MS:
            desk.delivery.extend(turn, box, None, row.seq, lease.attempt, ms)
        case _:
            raise InvalidMessage(
                field="settle", reason="is ack, nack or extend, with a time in bounds"
            )
    return []


# --- dead letters ----------------------------------------------------------------


def dead(desk: Desk, turn: Turn, session: Session, limit: int, after_seq: int) -> Any:
    limit = page(limit)
    letters = desk.store.mail.dead(session.agent or None, after_seq, limit + 1)
    left = MAX_HEAD
    rows: list[list[Any]] = []
    for letter in letters[:limit]:
        left -= len(letter.header) + len(letter.reason) + ROW_OVERHEAD
        if left < 0 and rows:
            break
        rows.append(_dead_row(desk, letter))
    del rows[_whole(letters, len(rows)) :]
    return [rows, len(letters) > len(rows)]


def _whole(letters: list[Dead], count: int) -> int:
    """How many of the first `count` there are without those of a message of which not
    all are among them: the next page begins after a seq, and so would skip the rest."""
    if count == len(letters) or letters[count - 1].seq != letters[count].seq:
        return count
    before = [letter.seq for letter in letters[:count]].index(letters[count].seq)
    return before or count


def _dead_row(desk: Desk, letter: Dead) -> list[Any]:
    return [
        desk.directory.name(letter.mailbox),
        letter.code,
        letter.reason,
        letter.at,
        letter.attempt,
        letter.seq,
        unpack_header(letter.header),
    ]


def replay(desk: Desk, turn: Turn, session: Session, id_: str | None) -> Any:
    """Dead letters wait in their mailbox again, in their old place."""
    replayed = 0
    for letter in list(_letters(desk, session, id_)):
        desk.store.mail.exhume(_key(letter))
        box = _box(desk, turn, letter)
        box.count(1, letter.size)
        box.rewind((letter.rank, letter.seq))
        turn.counted["replayed"] += 1
        _offer_again(desk, turn, letter)
        replayed += 1
    return [replayed]


def _offer_again(desk: Desk, turn: Turn, letter: Dead) -> None:
    """One of a link waits for its bridge again, as long as any other."""
    link = desk.links.get(letter.mailbox)
    if link is not None:
        turn.counted[f"{link.peer}:offered"] += 1
        until = desk.links.held_until(
            link.number, unpack_header(letter.header), 0, turn.now.wall
        )
        desk.store.mail.set_expires([(until, *_key(letter))])
        desk.ends.watch(until)


def drop(desk: Desk, turn: Turn, session: Session, id_: str | None) -> Any:
    dropped = 0
    keep = desk.settings.history_ms > 0
    for letter in list(_letters(desk, session, id_)):
        desk.store.mail.drop_dead(_key(letter), keep=keep)
        turn.counted["removed"] += 1
        dropped += 1
    return [dropped]


def _letters(desk: Desk, session: Session, id_: str | None) -> Iterable[Dead]:
    """The dead letters of one message, or the oldest of all, as many as one turn may
    move: the caller asks again until there are none."""
    mailbox = session.agent or None
    if id_ is None:
        return desk.store.mail.dead(mailbox, 0, PAGE)
    letters = desk.store.mail.find_dead(mailbox, id_)
    if not letters:
        raise NoSuchMessage(id=id_, where="among the dead letters")
    return letters


def _box(desk: Desk, turn: Turn, letter: Dead) -> Mailbox:
    turn.touched.add(letter.mailbox)
    turn.returned.add(letter.mailbox)
    return desk.boxes[letter.mailbox]


def _key(letter: Dead) -> Key:
    return Key(letter.mailbox, letter.rank, letter.seq)


# --- attachments -----------------------------------------------------------------


def blob_begin(desk: Desk, turn: Turn, session: Session, sha: str, size: int) -> Any:
    return [desk.blobs.begin(session.agent, sha, size, turn.now.wall)]


def blob_write(
    desk: Desk, turn: Turn, session: Session, sha: str, offset: int, *, body: bytes
) -> Any:
    return [desk.blobs.write(session.agent, sha, offset, body, turn.now.wall)]


def blob_seal(desk: Desk, turn: Turn, session: Session, sha: str) -> Any:
    desk.blobs.seal(session.agent, sha, turn.now.wall)
    return []


def blob_read(desk: Desk, turn: Turn, session: Session, sha: str, offset: int) -> Any:
    size, piece = desk.blobs.read(session.agent, sha, offset)
    return WithBody([size], piece)


MAIL: dict[str, Handler] = {
    "await": await_,
    "settle": settle,
    "dead": dead,
    "replay": replay,
    "drop": drop,
    "blob_begin": blob_begin,
    "blob_write": blob_write,
    "blob_seal": blob_seal,
    "blob_read": blob_read,
}
