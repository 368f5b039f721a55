"""The past: history, search, states, purging."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipcbus.errors import InvalidMessage
from ipcbus.store.base import ID_MS, Store
from ipcbus.store.records import Found
from tests.store.making import (
    ALICE,
    BOB,
    CAROL,
    entry,
    fill,
    header_with,
    key,
    maintain,
    row,
    share,
    turn,
    waiting,
)


@pytest.fixture(params=["indexed", "not indexed"])
def settle(request: pytest.FixtureRequest) -> Callable[[Store], None]:
    """Brings the index up to date, or does not: the answers must be the same."""
    if request.param == "indexed":
        return lambda store: maintain(store, 0, ID_MS)
    return lambda store: None


def history(
    store: Store,
    agent: int | None = None,
    *,
    limit: int = 100,
    before: int | None = None,
    other: int | None = None,
    thread: str | None = None,
) -> list[int]:
    found = store.archive.history(
        agent, limit=limit, before=before, other=other, thread=thread
    )
    return [f.seq for f in found]


def search(
    store: Store, query: str, agent: int | None = None, before: int | None = None
) -> list[int]:
    with turn(store):
        found = store.archive.search(agent, query, limit=3, before=before)
    return [f.seq for f in found]


def talk(store: Store) -> None:
    """1 alice to bob, 2 bob to alice, 3 alice to carol, 4 alice to bob and carol,
    5 carol to herself, 6 bob to alice in a thread of 2."""
    with turn(store):
        store.mail.add(
            [
                row(1),
                row(2, sender=BOB, mailbox=ALICE, thread="t"),
                row(3, mailbox=CAROL),
                row(4, mailbox=0),
                row(5, sender=CAROL, mailbox=CAROL),
                row(6, sender=BOB, mailbox=ALICE, thread="t"),
            ],
            [
                entry(1),
                entry(2, ALICE),
                entry(3, CAROL),
                entry(4, BOB, shared=1),
                entry(4, CAROL, shared=1),
                entry(5, CAROL),
                entry(6, ALICE),
            ],
        )


def test_history_is_newest_first_and_whose_it_is(
    store: Store, settle: Callable[[Store], None]
) -> None:
    talk(store)
    settle(store)
    assert history(store) == [6, 5, 4, 3, 2, 1]
    assert history(store, ALICE) == [6, 4, 3, 2, 1]
    assert history(store, BOB) == [6, 4, 2, 1]
    assert history(store, CAROL) == [5, 4, 3]
    assert history(store, 99) == []


def test_history_with_another_agent(
    store: Store, settle: Callable[[Store], None]
) -> None:
    talk(store)
    settle(store)
    assert history(store, ALICE, other=BOB) == [6, 4, 2, 1]
    assert history(store, BOB, other=ALICE) == [6, 4, 2, 1]
    assert history(store, BOB, other=CAROL) == []  # both got 4, from neither
    assert history(store, CAROL, other=CAROL) == [5]
    assert history(store, None, other=CAROL) == [5, 4, 3]


def test_history_of_a_thread_and_in_pages(
    store: Store, settle: Callable[[Store], None]
) -> None:
    talk(store)
    settle(store)
    assert history(store, ALICE, thread="t") == [6, 2]
    assert history(store, CAROL, thread="t") == []
    assert history(store, thread="t", before=6) == [2]
    assert history(store, ALICE, limit=2) == [6, 4]
    assert history(store, ALICE, limit=2, before=4) == [3, 2]
    assert history(store, ALICE, other=BOB, thread="t", before=6, limit=1) == [2]


def test_history_half_of_which_is_indexed_is_whole(store: Store) -> None:
    talk(store)
    maintain(store, 0, ID_MS)
    fill(store, [7, 8])
    assert history(store, BOB) == [8, 7, 6, 4, 2, 1]
    assert history(store, BOB, limit=3) == [8, 7, 6]


def test_history_keeps_what_is_done_but_not_what_was_not_kept(store: Store) -> None:
    fill(store, [1, 2, 3])
    maintain(store, 0, ID_MS)
    with turn(store):
        store.mail.remove([key(1)], keep=True)
        store.mail.remove([key(2)], keep=False)
    found = store.archive.history(BOB, limit=9, before=None, other=None, thread=None)
    assert found == [
        Found(3, "waiting", b"header", b"body"),
        Found(1, "done", b"header", b"body"),
    ]
    assert search(store, "body") == [3, 1]


def test_states_are_those_of_ones_own_mailbox(store: Store) -> None:
    share(store, 1, BOB, CAROL)
    states = [store.archive.state(1, who) for who in (None, ALICE, BOB, CAROL)]
    assert states == ["waiting"] * 4
    with turn(store):
        store.mail.remove([key(1, BOB)], keep=True)
        store.mail.bury(key(1, CAROL), "c", "r", 1)
    states = [store.archive.state(1, who) for who in (None, ALICE, BOB, CAROL)]
    assert states == ["dead", "dead", "done", "dead"]
    assert store.archive.state(99, None) == "done"


def test_words_are_found_in_bodies_and_data(store: Store) -> None:
    with turn(store):
        store.mail.add(
            [
                row(1, body="The build is GREEN. Über-alles".encode()),
                row(
                    2,
                    body=b"the build is red",
                    header=header_with({"job": ["nightly"]}),
                ),
                row(3, body=b"\xff\xfe not text \x00 at all"),
                row(4, sender=BOB, mailbox=CAROL, body=b"build green"),
            ],
            [entry(1), entry(2), entry(3), entry(4, CAROL)],
        )
    assert search(store, "build") == [4, 2, 1]
    assert search(store, "build", ALICE) == [2, 1]
    assert search(store, "build", ALICE, before=2) == [1]
    assert search(store, "Build green") == [4, 1]
    assert search(store, '"is green"') == [1]
    assert search(store, '"is gr"*') == [1]
    assert search(store, "gree*") == [4, 1]
    assert search(store, "gree") == []
    assert search(store, "nightly job") == [2]
    assert search(store, "uber-alles") == [1]
    assert search(store, "text") == [3]


@pytest.mark.parametrize(
    "query",
    ["green AND red", "NOT green", "body:green", "green*) OR (red*", "gr^een -red"],
)
def test_a_query_has_no_operators(store: Store, query: str) -> None:
    fill(store, [1], body=b"green and red, or not")
    fill(store, [2], body=b"green")
    assert 2 not in search(store, query)


@pytest.mark.parametrize("query", ["", "  ", '"', '""', "*", "-- !", "x " * 40])
def test_a_bad_query_is_refused_and_the_turn_goes_on(store: Store, query: str) -> None:
    store.begin()
    with pytest.raises(InvalidMessage):
        store.archive.search(None, query, limit=1, before=None)
    store.mail.add([row(1)], [entry(1)])
    store.commit()
    assert waiting(store) == [1]


HISTORY = 2 * ID_MS


def test_what_is_old_and_done_is_purged(store: Store) -> None:
    fill(store, range(1, 101))
    with turn(store):
        store.mail.remove([key(seq) for seq in range(1, 100) if seq != 50], keep=True)
        store.mail.bury(key(100), "c", "r", 1)
    maintain(store, 60_000 + HISTORY, HISTORY)
    assert history(store) == [*range(100, 60, -1), 50]
    assert search(store, "body", before=60) == [50]
    assert store.mail.find("id-000007") is None
    maintain(store, 1 << 50, HISTORY)
    assert history(store) == [100, 50]
    assert waiting(store) == [50]


def test_what_waited_during_a_purge_goes_with_the_next(store: Store) -> None:
    fill(store, range(1, 30))
    maintain(store, 1 << 50, HISTORY)
    assert history(store) == list(range(29, 0, -1))
    with turn(store):
        store.mail.remove([key(seq) for seq in range(1, 30)], keep=True)
    maintain(store, 1 << 50, HISTORY)
    assert history(store) == []


def test_shared_messages_are_purged_when_all_are_done(store: Store) -> None:
    share(store, 1, BOB, CAROL)
    with turn(store):
        store.mail.remove([key(1, BOB)], keep=True)
    maintain(store, 1 << 50, HISTORY)
    assert history(store, BOB) == [1]
    with turn(store):
        store.mail.remove([key(1, CAROL)], keep=True)
    maintain(store, 1 << 50, HISTORY)
    assert history(store, BOB) == []
    assert store.mail.find("id-000001") is None


def test_ids_outlive_a_short_history_by_a_day(store: Store) -> None:
    fill(store, [1, 2])
    with turn(store):
        store.mail.remove([key(1)], keep=True)
    maintain(store, 1000 + ID_MS - 1, 0)
    found = store.mail.find("id-000001")
    assert found is not None
    assert found.header == b""
    assert history(store) == [2]
    maintain(store, 1000 + ID_MS, 0)
    assert store.mail.find("id-000001") is None
    assert waiting(store) == [2]


def test_a_purged_seq_is_never_given_again(
    unopened: Callable[[], Store], store: Store
) -> None:
    fill(store, [1, 9])
    with turn(store):
        store.mail.remove([key(1), key(9)], keep=True)
    maintain(store, 1 << 50, HISTORY)
    assert history(store) == []
    store.close()
    again = unopened()
    snapshot = again.open()
    assert (snapshot.last_seq, snapshot.last_wall) == (9, 9000)
    fill(again, [10])
    assert search(again, "body") == [10]
    again.close()


@pytest.mark.parametrize("indexed", [False, True])
def test_bodies_are_cut_where_they_are_kept(store: Store, indexed: bool) -> None:
    """Not after a megabyte of each has been read."""
    bodies = [b"", b"red", b"red and blue", b"red" + bytes(100_000)]
    with turn(store):
        rows = [row(seq, body=body) for seq, body in enumerate(bodies, 1)]
        store.mail.add(rows, [entry(seq) for seq in range(1, 5)])
    if indexed:
        maintain(store, 0, 1)
    asked = {"limit": 9, "before": None, "most_body": 5}
    expected = [(b"red\0\0", 100_003), (b"red a", 12), (b"red", None), (b"", None)]
    found = store.archive.history(BOB, other=None, thread=None, **asked)  # type: ignore[arg-type]
    assert [(one.body, one.size) for one in found] == expected
    with turn(store):
        found = store.archive.search(BOB, "red*", **asked)  # type: ignore[arg-type]
    assert [(one.body, one.size) for one in found] == expected[:3]
    with turn(store):
        whole = store.archive.search(BOB, "blue", limit=9, before=None)
    assert [(one.body, one.size) for one in whole] == [(bodies[2], None)]
