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
    ):
        with pytest.raises(NoSuchMessage):
            call()
    store.mail.add([row(1)], [entry(1)])
    store.commit()  # the turn is not void
    assert store.mail.get(key(1)) is not None


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
