"""The pieces of frames: headers, meta, bodies, runs. msgpack, strict, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NoReturn

from msgpack import packb, unpackb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits
from ipcbus.protocol.fields import (
    is_attachments,
    is_headers,
    is_hops,
    is_labels,
    is_plain,
    is_uints,
    need,
    text,
)
from ipcbus.protocol.messages import Header, Meta

DIGEST = 32
"""Bytes of a digest: BLAKE2b of a message's content."""


def _reject_ext(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} is not allowed")


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a map has the same key twice")
    return found


_unpack = partial(
    unpackb,
    raw=False,
    strict_map_key=True,
    max_ext_len=0,
    ext_hook=_reject_ext,
    object_pairs_hook=_unique,
    max_str_len=limits.MAX_META,
    max_bin_len=limits.MAX_META,
    max_array_len=limits.MAX_ARRAY,
    max_map_len=limits.MAX_MAP,
)

# What msgpack may raise on hostile bytes: its own errors are ValueErrors, a bad key
# is a TypeError, nesting past its stack a RecursionError or a ValueError.
_BAD_BYTES = (ValueError, TypeError, RecursionError, OverflowError)


def load(packed: bytes) -> Any:
    try:
        return _unpack(packed)
    except _BAD_BYTES as error:
        reason = f"not msgpack as agreed: {type(error).__name__}"
        raise RemoteProtocolError(reason=reason) from error


def read_header(raw: Any) -> Header:
    need(type(raw) is list and len(raw) >= 13, "a header is not an array of 13")
    if len(raw) >= 15:
        need(_is_crossing(raw[13], raw[14]), "a header has a wrong digest or flags")
        header: Header = tuple.__new__(Header, raw[:15])
    else:
        header = tuple.__new__(Header, (*raw[:13], None, 0))
    id_, sender, to, kind, priority, accepted_at, expires_at = header[:7]
    thread, reply_to, trust, hops, attachments, meta = header[7:13]
    need(
        type(id_) is str
        and type(sender) is str
        and type(to) is str
        and type(kind) is str
        and type(priority) is int
        and type(accepted_at) is int
        and (expires_at is None or type(expires_at) is int)
        and (thread is None or type(thread) is str)
        and (reply_to is None or type(reply_to) is str)
        and type(trust) is str
        and (hops is None or is_hops(hops))
        and (attachments is None or is_attachments(attachments))
        and (meta is None or type(meta) is bytes),
        "a header has a wrong field",
    )
    return header


def pack_header(header: Header) -> bytes:
    """A header as it is stored and delivered; packed once in its life."""
    plain = header.digest is None and not header.flags
    packed: bytes = packb(header[:13] if plain else header)
    return packed


def flags_of(packed: bytes) -> int:
    """The flags of a packed header, without unpacking the rest: one byte at its end,
    of a header that has all 15 fields."""
    return packed[-1] if packed[:1] == b"\x9f" else 0


def digest_of(packed: bytes) -> bytes | None:
    """The digest of a packed header; most have none."""
    return unpack_header(packed).digest if packed[:1] == b"\x9f" else None


def _is_crossing(digest: object, flags: object) -> bool:
    right = digest is None or (type(digest) is bytes and len(digest) == DIGEST)
    return right and type(flags) is int and 0 <= flags < 128


def unpack_header(packed: bytes) -> Header:
    """Raises `RemoteProtocolError`."""
    return read_header(load(packed))


def pack_meta(meta: Meta) -> bytes | None:
    """`meta` packed, or None when there is nothing in it."""
    if meta == (None, None, None, None):
        return None
    packed: bytes = packb(meta)
    return packed


def unpack_meta(packed: bytes | None) -> Meta:
    """Raises `RemoteProtocolError` as `check_meta` does."""
    return Meta() if packed is None else Meta(*check_meta(packed)[:4])


def check_meta(packed: Any) -> list[Any]:
    """The four parts of a packed meta, and what a newer sender may have added.

    Raises `RemoteProtocolError`. A broker calls this for every message, so that no
    receiver ever gets a meta that it cannot read; what is None costs no call.
    """
    need(
        type(packed) is bytes and len(packed) <= limits.MAX_META,
        "meta is too long, or no bytes",
    )
    parts: list[Any] = load(packed)
    need(type(parts) is list and len(parts) >= 4, "meta is not an array of 4")
    content_type, labels, data, headers = parts[:4]
    if content_type is not None:
        need(text(content_type, 128), "content_type is not a short text")
    if labels is not None:
        need(is_labels(labels), "labels are not a list of short texts")
    if data is not None:
        need(is_plain(data), "data is not plain JSON data, or nests too deeply")
    if headers is not None:
        need(is_headers(headers), "headers are not a map of short texts")
    return parts


def pack_map(value: Any) -> bytes:
    """Plain data for the body frame of a call."""
    packed: bytes = packb(value)
    return packed


def packed_size(value: Any) -> int:
    """Bytes that a value takes in a head."""
    return len(packb(value))


def join_bodies(bodies: Sequence[bytes]) -> tuple[list[int], bytes]:
    """Sizes, and all bodies as one frame."""
    return list(map(len, bodies)), b"".join(bodies)


def split_bodies(sizes: object, frame: bytes, count: int) -> list[bytes]:
    """The bodies of a frame. Raises `RemoteProtocolError` unless the sizes add up."""
    need(
        type(sizes) is list
        and len(sizes) == count
        and is_uints(sizes, limits.MAX_BODY)
        and sum(sizes) == len(frame),
        "the sizes of the bodies do not match the body frame",
    )
    assert isinstance(sizes, list)
    if count == 1:
        return [frame]
    ends = list(accumulate(sizes, initial=0))
    return [frame[start:end] for start, end in pairwise(ends)]


def runs(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """`(seq, attempt)` pairs, sorted, as runs `first, count, attempt`, flattened."""
    flat: list[int] = []
    for seq, attempt in pairs:
        if flat and flat[-1] == attempt and flat[-3] + flat[-2] == seq:
            flat[-2] += 1
        else:
            flat += (seq, 1, attempt)
    return flat


def unroll(flat: list[int]) -> list[tuple[int, int]]:
    """The `(seq, attempt)` pairs of runs made by `runs`."""
    return [
        (seq, flat[at + 2])
        for at in range(0, len(flat), 3)
        for seq in range(flat[at], flat[at] + flat[at + 1])
    ]
