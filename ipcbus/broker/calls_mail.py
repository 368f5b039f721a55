"""Answers to the calls that are about messages and attachments.

Handlers are as in `broker.calls`; those that answer with bytes return `(value, body)`
as `WithBody`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from ipcbus.broker.calls import Desk, Handler
from ipcbus.broker.mailbox import BOTTOM, Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import InvalidMessage, NoSuchMessage, StaleLease
from ipcbus.protocol.address import fold, is_ref
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import (
    MAX_BODY,
    MAX_HEAD,
    MAX_LEASE_MS,
    MAX_TEXT,
    MAX_TTL_MS,
    MIB,
    MIN_LEASE_MS,
    PAGE,
)
from ipcbus.protocol.pieces import join_bodies, unpack_header
from ipcbus.store.records import Dead, Found, Key, Row

ROW_OVERHEAD = 32
"""Bytes of a row besides its header."""

FOREIGN_PAGES = 10
"""Of what was exchanged with a network, that are searched for one of its agents."""

MOST_AWAITS = 1024
"""Replies that one session may wait for."""


class WithBody(NamedTuple):
    """An answer that has bytes."""

    value: Any
    body: bytes


def await_(desk: Desk, turn: Turn, session: Session, id_: str) -> Any:
    if not is_ref(id_) or len(session.awaits) >= MOST_AWAITS:
        raise InvalidMessage(field="await.id", reason="is no id, or there are too many")
    return [desk.delivery.hand_reply(turn, session, id_)]


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


# --- looking at messages ---------------------------------------------------------


def show(
    desk: Desk, turn: Turn, session: Session, id_: str, offset: int, body_limit: int
) -> Any:
    """One message, its body from `offset` on."""
    row = desk.store.mail.find(id_)
    if row is None or not row.header or not concerns(desk, session, row):
        raise NoSuchMessage(id=id_, where=f"in {desk.network}")
    number = session.agent or None
    state = desk.store.archive.state(row.seq, number)
    found = Found(row.seq, state, row.header, row.body[offset:])
    return _rows([found], 1, body_limit)


def peek(desk: Desk, turn: Turn, session: Session, limit: int, body_limit: int) -> Any:
    box = desk.boxes[session.agent]
    limit = _page(limit)
    most = limit + len(box.leases) + 1
    waiting = desk.store.mail.page(box.number, BOTTOM, most, 8 * MIB)
    found = [
        Found(w.entry.seq, "waiting", w.header, w.body)
        for w in waiting
        if w.entry.seq not in box.leases
    ]
    return _rows(found, limit, body_limit)


def history(
    desk: Desk,
    turn: Turn,
    session: Session,
    limit: int,
    before_seq: int | None,
    other: str | None,
    thread: str | None,
    body_limit: int,
) -> Any:
    number = None
    if other is not None:
        number = _number_of(desk, turn, other)
        if number is None:
            return _rows([], 0, 0)
    read = partial(
        desk.store.archive.history,
        session.agent or None,
        other=number,
        thread=thread,
        most_body=body_limit,
    )
    limit = _page(limit)
    if other is not None and "@" in other:
        found = _with_foreign(read, fold(other), limit + 1, before_seq)
    else:
        found = read(limit=limit + 1, before=before_seq)
    return _rows(found, limit, body_limit)


def _number_of(desk: Desk, turn: Turn, name: str) -> int | None:
    """Of an agent, or of the link that leads to a foreign one."""
    if "@" in name:
        link = desk.links.towards(name.partition("@")[2])
        return None if link is None else link.number
    agent = desk.directory.named(name)
    agent = agent or desk.directory.forwarded(name, turn.now.wall)
    return None if agent is None else agent.number


def _with_foreign(
    read: Callable[..., list[Found]], other: str, most: int, before: int | None
) -> list[Found]:
    """A link stands for all agents behind it: theirs are told apart by the headers."""
    found: list[Found] = []
    for _ in range(FOREIGN_PAGES):
        page = read(limit=PAGE, before=before)
        for one in page:
            header = unpack_header(one.header)
            if other in (fold(header.sender), fold(header.to)):
                found.append(one)
        if len(page) < PAGE or len(found) >= most:
            break
        before = page[-1].seq
    return found[:most]


def search(
    desk: Desk,
    turn: Turn,
    session: Session,
    query: str,
    limit: int,
    before_seq: int | None,
    body_limit: int,
) -> Any:
    limit = _page(limit)
    found = desk.store.archive.search(
        session.agent or None,
        query,
        limit=limit + 1,
        before=before_seq,
        most_body=body_limit,
    )
    return _rows(found, limit, body_limit)


def _rows(found: list[Found], limit: int, body_limit: int) -> WithBody:
    """Rows `[seq, state, size, header]`, and their bodies cut to what fits.

    As many rows as their headers let into one frame; the first always fits.
    """
    left, head_left = MAX_BODY, MAX_HEAD
    bodies: list[bytes] = []
    rows: list[list[Any]] = []
    for one in found[:limit]:
        head_left -= len(one.header) + ROW_OVERHEAD
        if head_left < 0 and rows:
            break
        body = one.body[: min(body_limit, left)]
        left -= len(body)
        bodies.append(body)
        size = len(one.body) if one.size is None else one.size
        rows.append([one.seq, one.state, size, unpack_header(one.header)])
    sizes, body = join_bodies(bodies)
    return WithBody([rows, sizes, len(found) > len(rows)], body)


def _page(limit: int) -> int:
    return max(1, min(limit, PAGE))


def concerns(desk: Desk, session: Session, row: Row) -> bool:
    """Whether a message is the session's to see: it sent it, or it was sent to it."""
    number = session.agent
    if session.role is Role.OPERATOR or number in (row.sender, row.mailbox):
        return True
    return row.mailbox == 0 and desk.store.archive.was_sent(row.seq, number)


# --- dead letters ----------------------------------------------------------------


def dead(desk: Desk, turn: Turn, session: Session, limit: int, after_seq: int) -> Any:
    limit = _page(limit)
    letters = desk.store.mail.dead(session.agent or None, after_seq, limit + 1)
    left = MAX_HEAD
    rows: list[list[Any]] = []
    for letter in letters[:limit]:
        left -= len(letter.header) + len(letter.reason) + ROW_OVERHEAD
        if left < 0 and rows:
            break
        rows.append(_dead_row(desk, letter))
    return [rows, len(letters) > len(rows)]


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
    return desk.boxes[letter.mailbox]


def _key(letter: Dead) -> Key:
    return Key(letter.mailbox, letter.rank, letter.seq)


# --- attachments -----------------------------------------------------------------


def blob_begin(desk: Desk, turn: Turn, session: Session, sha: str, size: int) -> Any:
    return [desk.blobs.begin(session.agent, sha, size, turn.now.wall)]


def blob_write(
    desk: Desk, turn: Turn, session: Session, sha: str, offset: int, *, body: bytes
) -> Any:
    return [desk.blobs.write(session.agent, sha, offset, body)]


def blob_seal(desk: Desk, turn: Turn, session: Session, sha: str) -> Any:
    desk.blobs.seal(session.agent, sha)
    return []


def blob_read(desk: Desk, turn: Turn, session: Session, sha: str, offset: int) -> Any:
    size, piece = desk.blobs.read(session.agent, sha, offset)
    return WithBody([size], piece)


MAIL: dict[str, Handler] = {
    "await": await_,
    "settle": settle,
    "show": show,
    "peek": peek,
    "history": history,
    "search": search,
    "dead": dead,
    "replay": replay,
    "drop": drop,
    "blob_begin": blob_begin,
    "blob_write": blob_write,
    "blob_seal": blob_seal,
    "blob_read": blob_read,
}
