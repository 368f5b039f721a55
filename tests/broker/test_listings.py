"""Pages of what waits and of what was given up: within bounds, and nothing missing."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.limits import MAX_BODY
from ipcbus.protocol.messages import Answer, Call
from tests.broker.harness import OPERATOR, Harness, draft, only

ALICE, BOB, CAROL, DORA = b"alice", b"bob", b"carol", b"dora"
READERS = (BOB, CAROL, DORA)


def _given_up(*ids: str) -> Harness:
    """Each reader has given each of these up: three dead letters of one message."""
    bus = Harness(Settings(max_attempts=1))
    bus.join_up("alice", "bob", "carol", "dora")
    bus.send(ALICE, *(draft(id_, "*") for id_ in ids))
    for reader in READERS:
        nacks = [[*one.receipt, 0, None] for one in bus.fetch(reader)]
        bus.settle(reader, nacks=nacks)
    return bus


def _pages(bus: Harness, peer: bytes, limit: int) -> list[list[tuple[str, str]]]:
    """All pages: mailbox and id of each row."""
    pages: list[list[tuple[str, str]]] = []
    after, more = 0, True
    while more:
        rows, more = bus.call(peer, "dead", limit, after)
        pages.append([(row[0], row[6].id) for row in rows])
        after = rows[-1][5]
    return pages


@pytest.mark.parametrize("limit", [3, 4, 5, 6, 200])
def test_pages_of_dead_letters_are_complete_and_no_longer_than_asked(
    limit: int,
) -> None:
    bus = _given_up("m1", "m2", "m3", "m4")
    pages = _pages(bus, OPERATOR, limit)
    assert max(map(len, pages)) <= limit
    wanted = [(who.decode(), f"m{n}") for n in (1, 2, 3, 4) for who in READERS]
    assert [row for page in pages for row in page] == wanted
    bus.broker.check_invariants()
    bus.close()


def test_a_page_that_a_frame_cuts_ends_with_a_whole_message() -> None:
    bus = Harness(Settings(max_attempts=1))
    bus.join_up("alice", "bob", "carol", "dora")
    meta = b"\x80" + b"x" * 60_000
    ids = [f"m{n}" for n in range(4)]
    for id_ in ids:
        bus.send(ALICE, draft(id_, "*", meta=meta))
    for reader in READERS:
        nacks = [[*one.receipt, 0, None] for one in bus.fetch(reader)]
        bus.settle(reader, nacks=nacks)
    pages = _pages(bus, OPERATOR, 200)
    assert [len(page) for page in pages] == [3, 3, 3, 3]
    bus.close()


def test_an_agents_own_dead_letters_come_one_by_one() -> None:
    bus = _given_up("m1", "m2", "m3")
    pages = _pages(bus, CAROL, 1)
    assert pages == [[("carol", "m1")], [("carol", "m2")], [("carol", "m3")]]
    bus.close()


# --- what waits ----------------------------------------------------------------------


def _peek(bus: Harness, limit: int) -> tuple[list[str], bool]:
    actions = bus.say(BOB, Call(bus.ref(), "peek", [limit, 10], b""))
    rows, _, more = only(actions, Answer).value
    return [row[3].id for row in rows], more


def _big(bus: Harness, count: int) -> list[str]:
    ids = [f"m{n}" for n in range(count)]
    for id_ in ids:
        bus.send(ALICE, draft(id_, "bob"), body="x" * MAX_BODY)
    return ids


def test_a_look_past_big_messages_that_are_held_shows_what_waits(bus: Harness) -> None:
    bus.join_up("alice", "bob")
    ids = _big(bus, 12)
    assert len(bus.fetch(BOB, 10)) == 10
    assert _peek(bus, 5) == (ids[10:], False)


def test_a_look_that_is_cut_for_its_bytes_says_that_there_is_more(
    bus: Harness,
) -> None:
    bus.join_up("alice", "bob")
    ids = _big(bus, 12)
    seen: list[str] = []
    more: Any = True
    while more:
        shown, more = _peek(bus, 20)
        assert shown
        seen += shown
        for one in bus.fetch(BOB, len(shown)):
            bus.settle(BOB, acks=[one.receipt])
    assert seen == ids


def test_a_look_says_that_there_is_more_only_if_there_is(bus: Harness) -> None:
    bus.join_up("alice", "bob")
    assert _peek(bus, 5) == ([], False)
    bus.send(ALICE, *(draft(f"m{n}", "bob") for n in range(3)))
    assert _peek(bus, 2) == (["m0", "m1"], True)
    assert _peek(bus, 3) == (["m0", "m1", "m2"], False)
