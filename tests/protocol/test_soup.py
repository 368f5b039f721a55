"""Whatever bytes come in, decoding raises RemoteProtocolError or nothing."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import packb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol.codec import decode_broker, decode_client, encode, encode_deliver
from ipcbus.protocol.messages import Draft, Header, Verb
from ipcbus.protocol.pieces import pack_header, unpack_header, unpack_meta
from tests.protocol import strategies

ROUNDS = 50_000

junk: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text("ab") | st.binary(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def _swallow(head: bytes, body: bytes) -> None:
    """Anything but a RemoteProtocolError fails the test."""
    for decode in (decode_client, decode_broker):
        with suppress(RemoteProtocolError):
            decode(head, body)
    for unpack in (unpack_header, unpack_meta):
        with suppress(RemoteProtocolError):
            unpack(head)


@settings(max_examples=500)
@given(st.binary(max_size=300), st.binary(max_size=30))
def test_random_bytes(head: bytes, body: bytes) -> None:
    _swallow(head, body)


@given(st.sampled_from(Verb), st.lists(junk, max_size=8), st.binary(max_size=5))
def test_known_verbs_with_fields_of_any_kind(
    verb: Verb, fields: list[Any], body: bytes
) -> None:
    _swallow(packb([verb.value, *fields]), body)


@given(junk)
def test_any_value_instead_of_a_head(value: Any) -> None:
    _swallow(packb(value), b"")


@given(strategies.headers, strategies.drafts, st.integers(0, 12), junk)
def test_headers_with_one_field_of_any_kind(
    header: Header, draft: Draft, at: int, value: Any
) -> None:
    delivered, sent = list(header), list(draft)
    delivered[at] = sent[at % len(sent)] = value
    _swallow(packb([Verb.DELIVER.value, [1], [1], [0], [delivered]]), b"")
    _swallow(packb([Verb.SEND.value, 1, [sent], [0]]), b"")
    _swallow(packb(delivered), b"")


def test_seeded_damage_to_good_frames() -> None:
    """Bits flipped, bytes cut, repeated and swapped in. The seed is printed."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    good = _good_frames()
    for _ in range(ROUNDS):
        head, body = chance.choice(good)
        _swallow(_damaged(chance, head), _damaged(chance, body))


def _good_frames() -> list[tuple[bytes, bytes]]:
    frames: list[tuple[bytes, bytes]] = []

    @settings(max_examples=60, database=None, derandomize=True)
    @given(strategies.client_messages, strategies.broker_messages, strategies.headers)
    def gather(client: Any, broker: Any, header: Header) -> None:
        frames.append(encode(client))
        frames.append(encode(broker))
        packed = pack_header(header)
        frames.append((packed, b""))
        frames.append(encode_deliver([1, 2], [1, 1], [packed] * 2, [b"ab", b""]))

    gather()
    return frames


def _damaged(chance: random.Random, frame: bytes) -> bytes:
    damaged = bytearray(frame)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0 if at < len(damaged):
                damaged[at] ^= 1 << chance.randrange(8)
            case 1:
                del damaged[at:]
            case 2:
                damaged[at:at] = chance.randbytes(chance.randrange(6))
            case _:
                damaged[at:at] = damaged[at : at + chance.randrange(9)]
    return bytes(damaged)
