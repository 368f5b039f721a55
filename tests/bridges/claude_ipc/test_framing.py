"""Where a JSON object ends, whatever pieces it comes in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcbus_bridges.claude_ipc.framing import (
    MAX_DEPTH,
    MAX_MARKS,
    BadRequest,
    Framing,
)
from ipcbus_bridges.claude_ipc.limits import DEFAULTS

MAX_REQUEST = DEFAULTS.request_size
LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(max_size=9), VALUES, max_size=4)


def whole(pieces: list[bytes]) -> bytes | None:
    """What is found to be the object; it must not be found before its last piece."""
    framing = Framing()
    for piece in pieces[:-1]:
        assert not framing.feed(piece)
    if not framing.feed(pieces[-1]):
        return None
    return bytes(framing.data)


@settings(max_examples=60)
@given(OBJECTS, st.booleans(), st.data())
def test_any_object_is_found_whole_in_any_pieces(
    found: dict[str, object], is_ascii: bool, data: st.DataObject
) -> None:
    raw = json.dumps(found, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    pieces = [
        raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if a < b
    ]

    assert whole(pieces) == raw


def test_brackets_and_quotes_in_strings_are_no_end() -> None:
    raw = rb'{"a": "}\"]\\", "b\\\\": ["{", "\"}"]}'

    assert whole([raw[at : at + 1] for at in range(len(raw))]) == raw


def test_space_around_it_does_not_matter() -> None:
    framing = Framing()
    assert not framing.feed(b" \n")
    assert framing.feed(b'\t{"a": 1} \n')


@pytest.mark.parametrize(
    "raw",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02", b"[1]", b"\xff\xfe", b'"text"', b"\0"],
)
def test_what_begins_otherwise_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="one JSON object"):
        Framing().feed(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":' + b"[" * MAX_DEPTH, "deeper"),
        (b'{"a":[' + b"[]," * (MAX_MARKS // 3 + 1), "too many"),
        (b'{"a":[' + b"1," * MAX_MARKS, "too many"),
        (b'{"a":[' + b'"" ' * MAX_MARKS, "too many"),
        (b'{"a": "' + b"x" * MAX_REQUEST, "too large"),
    ],
)
def test_every_bound_refuses(raw: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        Framing().feed(raw)


def test_the_bound_of_a_request_may_be_another() -> None:
    raw = b'{"a": "' + b"x" * 991 + b'"}'

    assert Framing(1000).feed(raw)
    with pytest.raises(BadRequest, match="at most 999 bytes"):
        Framing(999).feed(raw)


def test_what_stands_in_a_text_is_not_counted() -> None:
    raw = json.dumps({"a": '[,"' * (MAX_MARKS + 1)}).encode()

    assert whole([raw[at : at + 65_536] for at in range(0, len(raw), 65_536)]) == raw


@pytest.mark.parametrize("size", [99, 65_536])
@pytest.mark.parametrize("letters", [b'\\"', b"\\\\", b"\\u0022", b"[,{", b"x"])
def test_a_mebibyte_of_anything_is_looked_at_once(letters: bytes, size: int) -> None:
    """To begin anew at each quote took minutes; to look twice would be no harm."""
    count = (MAX_REQUEST - 20) // len(letters)
    raw = b'{"a": "' + letters * count + b'"}'

    assert whole([raw[at : at + size] for at in range(0, len(raw), size)]) == raw
