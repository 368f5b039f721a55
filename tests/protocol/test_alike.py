"""Rows alike: an id alone stands for a whole one, and nothing is lost by it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb, unpackb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol.alike import (
    Run,
    fold_headers,
    pack_digested,
    pack_headers,
    runs_alike,
    runs_of,
    whole,
)
from ipcbus.protocol.codec import decode_broker, decode_client, encode, encode_deliver
from ipcbus.protocol.limits import ALIKE
from ipcbus.protocol.messages import Deliver, Draft, Header, Move, Send, Xfer
from ipcbus.protocol.pieces import pack_header
from tests.protocol.strategies import (
    digests,
    drafts,
    headers,
    ids,
    moves,
    references,
)

alike_drafts = st.lists(
    st.tuples(drafts, st.lists(ids, min_size=1, max_size=4)), min_size=1, max_size=4
).map(
    lambda groups: [draft._replace(id=id_) for draft, group in groups for id_ in group]
)
alike_headers = st.lists(
    st.tuples(headers, st.lists(ids, min_size=1, max_size=4)), min_size=1, max_size=4
).map(
    lambda groups: [
        header._replace(id=id_) for header, group in groups for id_ in group
    ]
)


def folded(rows: list[Draft]) -> list[Draft | str]:
    """The id alone for each that is like the one before."""
    alike = [False, *(one[1:] == other[1:] for one, other in pairwise(rows))]
    return [row.id if same else row for row, same in zip(rows, alike, strict=True)]


@given(alike_drafts)
def test_a_send_is_the_same_folded_or_not(rows: list[Draft]) -> None:
    for said in (rows, folded(rows)):
        send = Send(7, said, [b"x"] * len(rows))
        assert whole(said) == rows
        assert decode_client(*encode(send)) == send
        assert decode_client(*encode(send, ALIKE - 1)) == send._replace(drafts=rows)


@given(alike_headers)
def test_a_deliver_is_the_same_folded_or_not(rows: list[Header]) -> None:
    packed = [pack_header(row) for row in rows]
    count = len(rows)
    seqs, ones, bodies = list(range(count)), [1] * count, [b"x"] * count
    for minor in (ALIKE - 1, ALIKE):
        heard = decode_broker(*encode_deliver(seqs, ones, packed, bodies, minor))
        assert isinstance(heard, Deliver)
        assert heard.headers == rows


@given(headers, st.lists(ids, min_size=1, max_size=9))
def test_headers_alike_are_packed_as_one_by_one(header: Header, alike: Any) -> None:
    rows = [header._replace(id=id_) for id_ in alike]
    assert pack_headers(rows[0], alike) == [pack_header(row) for row in rows]


@given(alike_headers)
def test_packed_headers_fold_as_unpacked_ones(rows: list[Header]) -> None:
    packed = [pack_header(row) for row in rows]
    array = bytes([0xDC]) + len(rows).to_bytes(2, "big") + fold_headers(packed)
    for said, row in zip(unpackb(array), rows, strict=True):
        assert said in (row.id, [row.id, row.digest], unpackb(pack_header(row)))


alike_moves = st.lists(
    st.tuples(moves, st.lists(st.tuples(references, digests), min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
).map(
    lambda groups: [
        move._replace(id=id_, digest=digest)
        for move, group in groups
        for id_, digest in group
    ]
)


@given(alike_moves)
def test_an_xfer_is_the_same_folded_or_not(rows: list[Move]) -> None:
    xfer = Xfer(7, 3, rows, [b"x"] * len(rows))
    for minor in (ALIKE - 1, ALIKE):
        assert decode_client(*encode(xfer, minor)) == xfer


@given(headers, st.lists(st.tuples(references, digests), min_size=1, max_size=9))
def test_headers_that_cross_fold_to_id_and_digest(header: Header, each: Any) -> None:
    rows = [header._replace(id=id_, digest=digest) for id_, digest in each]
    ids, made = zip(*each, strict=True)
    packed = pack_digested(rows[0], ids, made)
    assert packed == [pack_header(row) for row in rows]
    count = len(rows)
    seqs, ones, bodies = list(range(count)), [1] * count, [b"x"] * count
    frames = encode_deliver(seqs, ones, packed, bodies)
    heard = decode_broker(*frames)
    assert isinstance(heard, Deliver)
    assert heard.headers == rows
    same_size = len({len(id_) for id_ in ids}) == 1
    said = unpackb(frames[0])[4]
    assert not same_size or all(type(row) is str or len(row) == 2 for row in said[1:])


@pytest.mark.parametrize("pair", [["m2", b"short"], ["m2", None], [2, b"d" * 32]])
def test_an_id_and_digest_are_checked(pair: Any) -> None:
    move = ["m1", "a", "b", "inform", 4, None, None, None, None, None, None, b"d" * 32]
    rows = [[*move, 0, "r", 0, 0, 1], pair]
    decode_client(packb([8, 1, 1, [rows[0], ["m2", b"d" * 32]], [0, 0]]), b"")
    with pytest.raises(RemoteProtocolError):
        decode_client(packb([8, 1, 1, rows, [0, 0]]), b"")


def test_a_draft_has_no_digest() -> None:
    draft = ["m1", "bob", "inform", 4, None, None, None, 0, None, None]
    with pytest.raises(RemoteProtocolError):
        decode_client(packb([4, 1, [draft, ["m2", b"d" * 32]], [0, 0]]), b"")


@given(alike_moves)
def test_runs_cover_all_moves_and_each_is_alike(rows: list[Move]) -> None:
    def common(at: int) -> Move:
        return rows[at]._replace(id="", digest=b"")

    runs = runs_alike(rows)
    assert [at for run in runs for at in run] == list(range(len(rows)))
    for run in runs:
        assert all(common(at) == common(run.start) for at in run)
    for one, next_one in pairwise(runs):
        assert common(one.start) != common(next_one.start)


@given(alike_drafts)
def test_runs_of_drafts_are_as_long_as_they_can_be(rows: list[Draft]) -> None:
    runs = runs_of(folded(rows))
    assert runs == runs_of(rows)
    assert [row for run in runs for row in as_rows(run)] == rows
    assert [one.start for run in runs for one in run.one_by_one()] == [
        *range(len(rows))
    ]
    assert all(one.draft[1:] != other.draft[1:] for one, other in pairwise(runs))


def as_rows(run: Run) -> list[Draft]:
    assert run.one_by_one() == [
        Run(run.start + at, run.draft._replace(id=id_), [id_])
        for at, id_ in enumerate(run.ids)
    ]
    return [run.draft._replace(id=id_) for id_ in run.ids]


def test_an_older_peer_is_sent_whole_rows() -> None:
    draft = Draft("m1", "bob", "inform", 4, None, None, None, 0, None, None)
    send = Send(1, [draft, "m2"], [b"", b""])
    head, _ = encode(send, ALIKE - 1)
    assert [type(row) for row in unpackb(head)[2]] == [list, list]
    head, _ = encode(send)
    assert [type(row) for row in unpackb(head)[2]] == [list, str]


@pytest.mark.parametrize("rows", [["m1"], [["m1"]], [["m1", 2], "m2"]])
def test_an_id_alone_cannot_be_the_first(rows: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_client(packb([4, 1, rows, [0] * len(rows)]), b"")


@pytest.mark.parametrize("id_", ["", "has space", "x" * 65, "ä"])
def test_an_id_alone_is_checked_as_any(id_: str) -> None:
    draft = ["m1", "bob", "inform", 4, None, None, None, 0, None, None]
    with pytest.raises(RemoteProtocolError):
        decode_client(packb([4, 1, [draft, id_], [0, 0]]), b"")
