"""Bytes made to cost more than they should are refused, within bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from msgpack import ExtType, Timestamp, packb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_broker, decode_client
from ipcbus.protocol.limits import MAX_ARRAY, MAX_HEAD, MIB
from ipcbus.protocol.pieces import load, unpack_meta

EMPTY_ARRAY = b"\x90"


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """The block allocates no more than this at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= megabytes * MIB, f"{peak / MIB:.1f} MiB"


def _array16(items: int) -> bytes:
    return b"\xdc" + items.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("decode", "most"),
    [(decode_client, MAX_HEAD), (decode_broker, limits.MAX_FRAME)],
)
def test_a_head_beyond_the_bound_is_not_even_decoded(
    decode: Callable[[bytes, bytes], object], most: int
) -> None:
    head = b"\x91" + EMPTY_ARRAY * most
    with at_most(1), pytest.raises(RemoteProtocolError, match="too long"):
        decode(head, b"")


def test_the_worst_head_costs_no_more_than_its_bound_allows() -> None:
    """Empty arrays are the dearest thing that fits into a byte."""
    block = _array16(MAX_ARRAY) + EMPTY_ARRAY * MAX_ARRAY
    blocks = (MAX_HEAD - 1) // len(block)
    head = bytes([0x90 + blocks]) + block * blocks
    assert MAX_HEAD * 9 // 10 < len(head) <= MAX_HEAD
    with at_most(20), pytest.raises(RemoteProtocolError, match="verb"):
        decode_client(head, b"")


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\xdd\xff\xff\xff\xff", id="an array said to be huge"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a map said to be huge"),
        pytest.param(b"\xdb\xff\xff\xff\xff", id="a text said to be huge"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="bytes said to be huge"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", id="an extension said to be huge"),
        pytest.param(
            _array16(MAX_ARRAY + 1) + EMPTY_ARRAY * (MAX_ARRAY + 1),
            id="an array longer than agreed",
        ),
        pytest.param(
            packb({str(key): 0 for key in range(limits.MAX_MAP + 1)}),
            id="a map longer than agreed",
        ),
        pytest.param(packb("x" * (limits.MAX_META + 1)), id="a text too long"),
        pytest.param(packb(b"x" * (limits.MAX_META + 1)), id="bytes too long"),
        pytest.param(b"\x91" * 2000 + b"\xc0", id="depth past the decoder's stack"),
        pytest.param(b"\x81\xa1k" * 2000 + b"\xc0", id="depth of maps"),
        pytest.param(packb(ExtType(5, b"")), id="an empty extension"),
        pytest.param(packb(ExtType(5, b"abcd")), id="an extension"),
        pytest.param(packb(Timestamp(1, 1)), id="a timestamp"),
        pytest.param(b"\xc7\x00\xff", id="an empty timestamp"),
        pytest.param(b"\x82\xa1a\x01\xa1a\x02", id="a key twice"),
        pytest.param(b"\x81\x01\x02", id="a key that is a number"),
        pytest.param(b"\x81\xc0\x02", id="a key that is nil"),
        pytest.param(b"\x81\x90\x02", id="a key that is an array"),
        pytest.param(b"\xa2\xc3\x28", id="text that is not UTF-8"),
        pytest.param(b"\xa3\xed\xa0\x80", id="half of a surrogate pair"),
        pytest.param(b"\xc1", id="a byte that msgpack never uses"),
        pytest.param(b"\xc0\xc0", id="something after the value"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_bytes_that_are_not_msgpack_as_agreed_are_refused_cheaply(bomb: bytes) -> None:
    with at_most(2), pytest.raises(RemoteProtocolError):
        load(bomb)
    with at_most(2), pytest.raises(RemoteProtocolError):
        unpack_meta(b"\x94\xc0\xc0" + bomb + b"\xc0")
    with pytest.raises(RemoteProtocolError):
        decode_client(b"\x92\x03" + bomb, b"")


@pytest.mark.parametrize("depth", [900, 1000, 1020])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1k"])
def test_depth_that_the_decoder_takes_is_refused_by_what_reads_it(
    depth: int, opening: bytes
) -> None:
    """Also where the value would be shown in the error: repr has a stack, too."""
    deep = opening * depth + b"\xc0"
    for head in (
        b"\x91" + deep,
        b"\x92\x03" + deep,
        b"\x93\x42\xa1x" + deep,
        b"\x94\x07\x01\xa1x" + deep,
        b"\x94\x07\x01" + deep + b"\x90",
        b"\x94\x04\x01" + deep + b"\x91\x00",
        b"\x94\x04\x01\x91\x00" + deep,
    ):
        for decode in (decode_client, decode_broker):
            with pytest.raises(RemoteProtocolError):
                decode(head, b"")
    with pytest.raises(RemoteProtocolError):
        unpack_meta(b"\x94\xc0\xc0" + deep + b"\xc0")
