"""Bugs of what is counted and timed: credit, attempts, ttl, rights to answer, room; and
of who is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ipcbus.broker.delivery import Delivery
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.links import Links
from ipcbus.broker.room import Room
from ipcbus.broker.sessions import Session
from ipcbus.errors import BoundExceeded
from ipcbus.store.memory.archive import MemoryArchive
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus_bridges.link import Link
from ipcbus_bridges.moving import Moving
from tests.sim.planting import Bugs, nothing, yes

BUGS = Bugs()

# --- bounds -----------------------------------------------------------------------


def _all_fit(real: Any, session: Session, sizes: Any) -> int:
    return len(sizes)


BUGS.plant(
    "credit-exceeded",
    "nobody is given more than it has credit for",
    (Session, "has_room", yes),
    (Session, "fits", _all_fit),
)


def _never_enough(real: Any, delivery: Any, *args: Any, **options: Any) -> None:
    settings = delivery._settings
    delivery._settings = replace(settings, max_attempts=1 << 30)
    real(delivery, *args, **options)
    delivery._settings = settings


BUGS.plant(
    "max-attempts-never-reached",
    "after max_attempts a message is a dead letter",
    (Delivery, "_come_back", _never_enough),
)


def _fewer(real: Any, delivery: Any, *args: Any, **options: Any) -> None:
    settings = delivery._settings
    delivery._settings = replace(settings, max_attempts=2)
    real(delivery, *args, **options)
    delivery._settings = settings


BUGS.plant(
    "given-up-too-soon",
    "a message is given out max_attempts times before it is given up",
    (Delivery, "_come_back", _fewer),
)


def _no_room_no_word(real: Any, *args: Any) -> Any:
    try:
        return real(*args)
    except BoundExceeded:
        return []


BUGS.plant(
    "no-room-no-word",
    "no bound drops anything silently",
    (Room, "find", _no_room_no_word),
)


def _no_ids_kept(
    real: Any, archive: Any, now: int, keep_content: int, keep_ids: int, limit: int
) -> bool:
    return bool(real(archive, now, keep_content, 0, limit))


BUGS.plant(
    "ids-purged-with-content",
    "an id is known for longer than its message",
    (MemoryArchive, "_forget", _no_ids_kept),
)

# --- times ------------------------------------------------------------------------


def _whole_ttl(
    real: Any,
    moving: Any,
    rules: Any,
    seq: int,
    attempt: int,
    stream: Any,
    header: Any,
    *rest: Any,
) -> Any:
    item = real(moving, rules, seq, attempt, stream, header, *rest)
    if header.expires_at is None:
        return item
    ttl_ms = header.expires_at - header.accepted_at
    return item._replace(move=item.move._replace(ttl_ms=ttl_ms))


BUGS.plant(
    "ttl-begins-anew",
    "a ttl does not begin anew at a hop",
    (Moving, "item", _whole_ttl),
)


def _no_ttl(real: Any, *args: Any) -> Any:
    item = real(*args)
    return item._replace(move=item.move._replace(ttl_ms=None))


BUGS.plant(
    "ttl-lost-at-hop",
    "a ttl goes along with its message",
    (Moving, "item", _no_ttl),
)

# --- rights -----------------------------------------------------------------------


def _for_ever(real: Any, *args: Any) -> Any:
    grant = real(*args)
    return grant and grant._replace(until=1 << 60)


BUGS.plant(
    "right-to-answer-for-ever",
    "a right to answer ends with its time",
    (MemoryCrossings, "grant", _for_ever),
)


def _of_anybody(real: Any, crossings: Any, reply_to: str, replier: str) -> Any:
    grants = crossings._state.grants
    return real(crossings, reply_to, replier) or next(
        (grants[key] for key in grants.in_order() if key[0] == reply_to), None
    )


BUGS.plant(
    "right-to-answer-of-anybody",
    "who was not written to has no right to answer",
    (MemoryCrossings, "grant", _of_anybody),
)


def _paused_or_not(real: Any, links: Any, turn: Any, session: Any, said: Any) -> bool:
    link = links.of(session)
    paused = link.row.paused
    link.row = link.row._replace(paused=0)
    led = bool(real(links, turn, session, said))
    links.put(link, paused=paused)
    return led


BUGS.plant(
    "led-though-paused",
    "nothing leaves by a link that its owner has paused",
    (Links, "lead", _paused_or_not),
)

# --- who is told, and what is kept --------------------------------------------------


def _somebody_else(real: Any, ends: Any, header: Any) -> Any:
    found = real(ends, header)
    if header.hops or found is None:
        return found
    others = {*ends._directory.members()} - {found}
    return min(others, default=found)


BUGS.plant(
    "bounce-to-somebody-else",
    "who sent a message is told what became of it, and nobody else",
    (Ends, "addressee", _somebody_else),
)


def _all_read(real: Any, directory: Any, topic: str) -> list[int]:
    return sorted({*real(directory, topic), *directory.members()})


BUGS.plant(
    "topic-read-by-all",
    "who has not joined a topic gets nothing of it",
    (Directory, "readers", _all_read),
)


def _refusal_is_ack(
    real: Any, delivery: Any, turn: Any, box: Any, seq: int, attempt: int, *rest: Any
) -> bool:
    return bool(delivery.ack(turn, box, seq, attempt))


BUGS.plant(
    "nack-is-ack",
    "what was refused is delivered again",
    (Delivery, "nack", _refusal_is_ack),
)


def _forgotten(real: Any, link: Link, *args: Any) -> None:
    real(link, *args)
    link._streams.clear()


BUGS.plant(
    "batch-dropped-at-reload",
    "a reload drops nothing that is under way",
    (Link, "reload", _forgotten),
)
BUGS.plant(
    "dead-leader-leads",
    "the lead ends with the session that has it",
    (Links, "lost", nothing),
)
