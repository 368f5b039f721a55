"""Attachments: stored in pieces, read by ranges, kept while a message needs them."""

from __future__ import annotations

import pytest

from ipcbus.errors import NoSuchMessage
from ipcbus.store.base import ID_MS, UNUSED_BLOB_MS, Store
from ipcbus.store.records import Blob
from tests.store.making import (
    ALICE,
    BOB,
    CAROL,
    entry,
    fill,
    key,
    maintain,
    row,
    share,
    turn,
)

SHA = "ab" * 32
DAVE = 4


def upload(store: Store, *pieces: bytes, owner: int = ALICE, at: int = 1) -> None:
    with turn(store):
        store.blobs.begin(SHA, sum(map(len, pieces)), owner, at)
        for piece in pieces:
            store.blobs.append(SHA, piece)
        store.blobs.seal(SHA)


def test_pieces_are_put_together(store: Store) -> None:
    with turn(store):
        assert store.blobs.begin(SHA, 9, ALICE, 1) == Blob(SHA, 9, 0, 0, ALICE)
        assert store.blobs.append(SHA, b"abc") == 3
        assert store.blobs.append(SHA, b"") == 3
    with turn(store):
        assert store.blobs.append(SHA, b"defghi") == 9
        assert store.blobs.get(SHA) == Blob(SHA, 9, 9, 0, ALICE)
        store.blobs.seal(SHA)
    assert store.blobs.get(SHA) == Blob(SHA, 9, 9, 1, ALICE)
    assert store.blobs.read(SHA, 0, 100) == b"abcdefghi"


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("length", [0, 1, 3, 9])
def test_any_range_can_be_read(store: Store, offset: int, length: int) -> None:
    upload(store, b"ab", b"c", b"defg")
    assert store.blobs.read(SHA, offset, length) == b"abcdefg"[offset : offset + length]


def test_one_that_is_there_is_returned_as_it_is(store: Store) -> None:
    upload(store, b"abc")
    with turn(store):
        assert store.blobs.begin(SHA, 77, BOB, 5) == Blob(SHA, 3, 3, 1, ALICE)


def test_an_upload_can_start_over_until_it_is_sealed(store: Store) -> None:
    with turn(store):
        store.blobs.begin(SHA, 3, ALICE, 1)
        store.blobs.append(SHA, b"xyz")
        store.blobs.restart(SHA)
        assert store.blobs.get(SHA) == Blob(SHA, 3, 0, 0, ALICE)
        store.blobs.append(SHA, b"abc")
        store.blobs.seal(SHA)
        store.blobs.restart(SHA)
    assert store.blobs.read(SHA, 0, 3) == b"abc"


def test_one_that_was_never_announced_is_no_such_message(store: Store) -> None:
    assert store.blobs.get(SHA) is None
    assert not store.blobs.readable(SHA, ALICE)
    store.begin()
    for call in (
        lambda: store.blobs.append(SHA, b"a"),
        lambda: store.blobs.restart(SHA),
        lambda: store.blobs.seal(SHA),
        lambda: store.blobs.read(SHA, 0, 1),
        lambda: store.blobs.link(1, SHA),
        lambda: store.blobs.rename(SHA, "other"),
        lambda: store.blobs.own(SHA, ALICE),
    ):
        with pytest.raises(NoSuchMessage):
            call()
    store.mail.add([row(1)], [entry(1)])
    store.commit()  # the turn is not void
    assert store.mail.get(key(1)) is not None


def test_an_upload_gets_its_name_when_it_is_whole(store: Store) -> None:
    with turn(store):
        store.blobs.begin("mine", 6, BOB, 1)
        store.blobs.append("mine", b"abc")
    with turn(store):
        store.blobs.append("mine", b"def")
        store.blobs.seal("mine")
        store.blobs.rename("mine", SHA)
    assert store.blobs.get("mine") is None
    assert store.blobs.get(SHA) == Blob(SHA, 6, 6, 1, BOB)
    assert store.blobs.read(SHA, 1, 4) == b"bcde"
    with turn(store):  # the name that it had is free again
        assert store.blobs.begin("mine", 1, CAROL, 1).stored == 0
        store.blobs.append("mine", b"x")
    assert store.blobs.read(SHA, 0, 9) == b"abcdef"
    assert store.blobs.read("mine", 0, 9) == b"x"


def test_who_had_the_name_before_is_dropped(store: Store) -> None:
    upload(store, b"old")
    with turn(store):
        store.blobs.own(SHA, CAROL)
        store.blobs.begin("mine", 3, BOB, 1)
        store.blobs.append("mine", b"new")
        store.blobs.rename("mine", SHA)
    assert store.blobs.read(SHA, 0, 9) == b"new"
    assert [a for a in (ALICE, BOB, CAROL) if store.blobs.readable(SHA, a)] == [BOB]


def test_one_that_is_dropped_is_gone_at_once_and_its_name_is_free(
    store: Store,
) -> None:
    upload(store, b"abc", b"def")
    with turn(store):
        store.blobs.drop(SHA)
        store.blobs.drop("never was")
    assert store.blobs.get(SHA) is None
    upload(store, b"x", owner=BOB)
    maintain(store, 2, ID_MS)
    assert store.blobs.read(SHA, 0, 9) == b"x"
    assert store.blobs.get(SHA) == Blob(SHA, 1, 1, 1, BOB)


def test_several_may_have_uploaded_it_as_long_as_it_is_here(store: Store) -> None:
    upload(store, b"abc")
    with turn(store):
        store.blobs.own(SHA, BOB)
        store.blobs.own(SHA, BOB)
    assert [a for a in (ALICE, BOB, CAROL) if store.blobs.readable(SHA, a)] == [
        ALICE,
        BOB,
    ]
    maintain(store, 1 + UNUSED_BLOB_MS, ID_MS)
    upload(store, b"abc", owner=CAROL)
    assert [a for a in (ALICE, BOB, CAROL) if store.blobs.readable(SHA, a)] == [CAROL]


@pytest.mark.parametrize("steps", range(1, 7))
def test_one_of_which_purging_has_taken_anything_is_not_there(
    store: Store, steps: int
) -> None:
    pieces = [bytes([number]) for number in range(4)]
    upload(store, *pieces)
    for _ in range(steps):
        with turn(store):
            store.archive.maintain(1 + UNUSED_BLOB_MS, ID_MS, 10)
    assert store.blobs.get(SHA) is None
    fill(store, [1])
    store.begin()
    with pytest.raises(NoSuchMessage):
        store.blobs.link(1, SHA)
    store.commit()
    upload(store, *pieces, at=1 + UNUSED_BLOB_MS)
    with turn(store):
        store.blobs.link(1, SHA)
    maintain(store, 1 + UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.read(SHA, 0, 9) == b"".join(pieces)


def test_only_those_who_took_part_may_read(store: Store) -> None:
    upload(store, b"abc", owner=DAVE)
    fill(store, [1])
    with turn(store):
        store.blobs.link(1, SHA)
    readers = [agent for agent in range(1, 6) if store.blobs.readable(SHA, agent)]
    assert readers == [ALICE, BOB, DAVE]


def test_those_who_got_a_shared_message_may_read_also_after_they_are_done(
    store: Store,
) -> None:
    upload(store, b"abc", owner=DAVE)
    share(store, 1, BOB, CAROL)
    with turn(store):
        store.blobs.link(1, SHA)
        store.mail.remove([key(1, BOB)], keep=True)
    assert store.blobs.readable(SHA, BOB)
    assert store.blobs.readable(SHA, CAROL)
    assert not store.blobs.readable(SHA, 5)


def test_one_that_nothing_refers_to_goes_after_an_hour(store: Store) -> None:
    upload(store, b"abc", b"def", at=1000)
    maintain(store, 999 + UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is not None
    maintain(store, 1000 + UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is None


def test_announcing_it_again_gives_it_another_hour(store: Store) -> None:
    upload(store, b"abc", at=1000)
    with turn(store):
        store.blobs.begin(SHA, 3, BOB, 5000)
    maintain(store, 4999 + UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is not None


def test_one_in_use_stays_until_an_hour_after_its_message_has_gone(
    store: Store,
) -> None:
    upload(store, b"abc", at=1000)
    fill(store, [1])
    with turn(store):
        store.blobs.link(1, SHA)
    maintain(store, 10 * UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is not None
    with turn(store):
        store.mail.remove([key(1)], keep=False)
    maintain(store, 11 * UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is not None
    maintain(store, 12 * UNUSED_BLOB_MS, ID_MS)
    assert store.blobs.get(SHA) is None
