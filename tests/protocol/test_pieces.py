"""Headers, meta, bodies and runs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb, unpackb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Header, Meta
from ipcbus.protocol.pieces import (
    join_bodies,
    pack_header,
    pack_meta,
    runs,
    split_bodies,
    unpack_header,
    unpack_meta,
    unroll,
)
from tests.protocol import strategies

HEADER = Header(
    "m1",
    "alice",
    "bob",
    "inform",
    4,
    1,
    None,
    None,
    None,
    "local",
    None,
    None,
    None,
    b"d" * 32,
    0,
)


@given(strategies.headers)
def test_a_header_is_unpacked_as_it_was_packed(header: Header) -> None:
    assert unpack_header(pack_header(header)) == header


@pytest.mark.parametrize("at", range(len(HEADER)), ids=Header._fields)
def test_a_header_with_a_field_of_a_wrong_type_is_refused(at: int) -> None:
    for wrong in ({"x": 1}, [None], -1.5):
        fields = [*HEADER[:at], wrong, *HEADER[at + 1 :]]
        with pytest.raises(RemoteProtocolError, match=r"has a? ?wrong"):
            unpack_header(packb(fields))


@given(strategies.metas)
def test_meta_is_unpacked_as_it_was_packed(meta: Meta) -> None:
    assert unpack_meta(pack_meta(meta)) == meta


def test_meta_without_anything_in_it_takes_no_bytes() -> None:
    assert pack_meta(Meta()) is None
    assert unpack_meta(None) == Meta()


@given(st.lists(strategies.bodies, min_size=1, max_size=8))
def test_bodies_are_split_as_they_were_joined(bodies: list[bytes]) -> None:
    sizes, frame = join_bodies(bodies)
    assert split_bodies(sizes, frame, len(bodies)) == bodies


def test_a_body_of_the_greatest_size_passes_and_one_byte_more_does_not() -> None:
    body = bytes(limits.MAX_BODY)
    assert split_bodies([len(body)], body, 1) == [body]
    with pytest.raises(RemoteProtocolError, match="sizes"):
        split_bodies([len(body) + 1], body + b"x", 1)


@given(strategies.receipts)
def test_runs_unroll_to_the_receipts_they_were_made_of(
    receipts: list[tuple[int, int]],
) -> None:
    flat = runs(receipts)
    assert unroll(flat) == receipts
    assert unpackb(packb(flat)) == flat


@given(strategies.receipts)
def test_runs_are_as_few_as_can_be(receipts: list[tuple[int, int]]) -> None:
    breaks = sum(
        attempt != attempt_before or seq != seq_before + 1
        for (seq_before, attempt_before), (seq, attempt) in pairwise(receipts)
    )
    assert len(runs(receipts)) == 3 * (breaks + 1 if receipts else 0)


def test_neighbours_at_one_attempt_are_one_run() -> None:
    assert runs([(17, 1), (18, 1), (19, 1), (20, 2), (22, 2)]) == [
        *(17, 3, 1),
        *(20, 1, 2),
        *(22, 1, 2),
    ]
