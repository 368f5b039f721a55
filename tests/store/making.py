"""Messages, entries and keys with little to type."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from ipcbus.protocol.messages import Header, Meta
from ipcbus.protocol.pieces import pack_header, pack_meta
from ipcbus.store.base import Store
from ipcbus.store.records import Entry, Key, Row

ALICE, BOB, CAROL = 1, 2, 3
RANK = 5


def row(
    seq: int,
    *,
    id_: str | None = None,
    sender: int = ALICE,
    mailbox: int = BOB,
    thread: str | None = None,
    reply_to: str | None = None,
    header: bytes = b"header",
    body: bytes = b"body",
    at: int | None = None,
) -> Row:
    """A message; accepted at second `seq` unless said otherwise."""
    return Row(
        seq,
        id_ if id_ is not None else f"id-{seq:06d}",
        sender,
        mailbox,
        seq * 1000 if at is None else at,
        thread,
        reply_to,
        header,
        body,
    )


def entry(
    seq: int,
    mailbox: int = BOB,
    *,
    rank: int = RANK,
    due: int = 0,
    expires: int = 0,
    shared: int = 0,
) -> Entry:
    return Entry(mailbox, rank, seq, 0, due, expires, shared, 100)


def key(seq: int, mailbox: int = BOB, *, rank: int = RANK) -> Key:
    return Key(mailbox, rank, seq)


def first_reply(
    store: Store, mailbox: int, reply_to: str, held: Container[int] = ()
) -> int | None:
    """The seq of the first reply there that is not held."""
    found = store.mail.find_reply(mailbox, reply_to, lambda seq: seq not in held)
    return found.entry.seq if found else None


def header_with(data: object) -> bytes:
    """A packed header whose message carries structured data."""
    meta = pack_meta(Meta(data=data))
    header = Header(
        "id",
        "alice",
        "bob",
        "inform",
        4,
        0,
        None,
        None,
        None,
        "local",
        None,
        None,
        meta,
    )
    return pack_header(header)


@contextmanager
def turn(store: Store) -> Iterator[Store]:
    """A turn of the loop: committed, unless something is raised in it."""
    store.begin()
    try:
        yield store
    except BaseException:
        store.rollback()
        raise
    store.commit()


def fill(
    store: Store, seqs: Iterable[int], *, body: bytes = b"body", at: int | None = None
) -> None:
    """From alice to bob, one message for each seq, in one turn."""
    seqs = list(seqs)
    with turn(store):
        rows = [row(seq, body=body, at=at) for seq in seqs]
        store.mail.add(rows, [entry(seq) for seq in seqs])


def share(store: Store, seq: int, *mailboxes: int, id_: str | None = None) -> None:
    """From alice to several mailboxes."""
    with turn(store):
        store.mail.add(
            [row(seq, mailbox=0, id_=id_)],
            [entry(seq, mailbox, shared=1) for mailbox in mailboxes],
        )


def waiting(store: Store, mailbox: int = BOB) -> list[int]:
    """The seqs that a mailbox would give out now."""
    return [w.entry.seq for w in store.mail.page(mailbox, (-1, 0), 10_000, 1 << 40)]


def maintain(store: Store, now: int, history_ms: int) -> None:
    """Keep house until nothing is left to do."""
    for _ in range(10_000):
        with turn(store):
            if not store.archive.maintain(now, history_ms, 10):
                return
    raise AssertionError("keeping house does not end")
