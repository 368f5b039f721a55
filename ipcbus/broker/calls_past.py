"""Answers to the calls that look at messages, waiting or past.

Handlers are as in `broker.calls`; those that answer with bytes return `(value, body)`
as `WithBody`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ipcbus.broker.batch import Batch, header_of
from ipcbus.broker.calls import Desk, Handler, nobody
from ipcbus.broker.links import MARK
from ipcbus.broker.mailbox import BOTTOM, Mailbox
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import BoundExceeded, InvalidMessage, NoSuchMessage, NotPermitted
from ipcbus.protocol.address import OWN_IDS, fold, is_id
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import DEFAULT_PRIORITY, MAX_BODY, MAX_HEAD, MIB, PAGE
from ipcbus.protocol.messages import INFORM, Draft
from ipcbus.protocol.pieces import join_bodies, pack_header, unpack_header
from ipcbus.store.records import Found, Row, Waiting

ROW_OVERHEAD = 32
"""Bytes of a row besides its header."""

PEEKED_BYTES = 8 * MIB
"""Of bodies that one look reads; it shows `MAX_BODY` of them."""

FOREIGN_PAGES = 10
"""Of what was exchanged with a network, that are searched for one of its agents."""


class WithBody(NamedTuple):
    """An answer that has bytes."""

    value: Any
    body: bytes


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
    limit = page(limit)
    found: list[Found] = []
    left = PEEKED_BYTES
    for waiting in _unheld(desk, desk.boxes[session.agent]):
        seq, header, body = waiting.entry.seq, waiting.header, waiting.body
        found.append(Found(seq, "waiting", header, body))
        left -= len(body)
        if len(found) > limit or (left < 0 and len(found) > 1):
            return _rows(found, len(found) - 1, body_limit)  # the last: there is more
    return _rows(found, limit, body_limit)


def _unheld(desk: Desk, box: Mailbox) -> Iterator[Waiting]:
    """What waits and nobody holds, however much is held before it."""
    mark = BOTTOM
    while some := desk.store.mail.page(box.number, mark, PAGE, PEEKED_BYTES):
        last = some[-1].entry
        mark = (last.rank, last.seq)
        yield from (one for one in some if one.entry.seq not in box.leases)


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
    limit = page(limit)
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
        some = read(limit=PAGE, before=before)
        for one in some:
            header = unpack_header(one.header)
            if other in (fold(header.sender), fold(header.to)):
                found.append(one)
        if len(some) < PAGE or len(found) >= most:
            break
        before = some[-1].seq
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
    limit = page(limit)
    found = desk.store.archive.search(
        session.agent or None,
        query,
        limit=limit + 1,
        before=before_seq,
        most_body=body_limit,
    )
    return _rows(found, limit, body_limit)


def remember(
    desk: Desk,
    turn: Turn,
    session: Session,
    id_: str,
    sender: str,
    to: str,
    *,
    body: bytes,
) -> Any:
    """A message that was read before this network knew of it: history at once."""
    if not desk.settings.history_ms:
        raise NotPermitted(reason="this network keeps no history")
    if not is_id(id_) or id_.startswith(OWN_IDS):
        raise InvalidMessage(field="remember.id", reason="is no id of a message")
    if len(body) > (most := desk.settings.max_body):
        raise BoundExceeded(bound="max_body", value=len(body), limit=most)
    agents = []
    for name in (sender, to):
        agent = desk.directory.named(name)
        if agent is None or name.startswith(MARK):  # a link is no agent
            raise nobody(desk, name)
        agents.append(agent)
    author, reader = agents
    header = header_of(_plain(id_, reader.name), author.name, turn.now.wall)
    batch = Batch()
    where = (author.number, reader.number, [desk.sending.next_seq()])
    batch.add_rows(header, *where, [id_], [pack_header(header)], [body])
    known = batch.stored_in(desk.store.mail)  # waits nowhere, and so is dealt with
    return [int(not known)]


def _plain(id_: str, to: str) -> Draft:
    return Draft(id_, to, INFORM, DEFAULT_PRIORITY, None, None, None, 0, None, None)


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


def page(limit: int) -> int:
    return max(1, min(limit, PAGE))


def concerns(desk: Desk, session: Session, row: Row) -> bool:
    """Whether a message is the session's to see: it sent it, or it was sent to it."""
    number = session.agent
    if session.role is Role.OPERATOR or number in (row.sender, row.mailbox):
        return True
    return row.mailbox == 0 and desk.store.archive.was_sent(row.seq, number)


PAST: dict[str, Handler] = {
    "show": show,
    "peek": peek,
    "history": history,
    "search": search,
    "remember": remember,
}
