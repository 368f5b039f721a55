"""Frames to messages and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb, unpackb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits
from ipcbus.protocol.codec import (
    decode_broker,
    decode_client,
    encode,
    encode_deliver,
)
from ipcbus.protocol.messages import (
    BrokerMessage,
    ClientMessage,
    Credit,
    Deliver,
    Draft,
    Header,
    Ping,
    Send,
    Settle,
    Verb,
)
from ipcbus.protocol.pieces import pack_header
from tests.protocol import strategies

DRAFT = Draft("m1", "bob", "inform", 4, None, None, None, 0, None, None)
SHA = "0123456789abcdef" * 4


@given(strategies.client_messages)
def test_what_a_client_says_arrives_as_it_was_said(message: ClientMessage) -> None:
    again = decode_client(*encode(message))
    assert again == message
    assert type(again) is type(message)


@given(strategies.broker_messages)
def test_what_a_broker_says_arrives_as_it_was_said(message: BrokerMessage) -> None:
    again = decode_broker(*encode(message))
    assert again == message
    assert type(again) is type(message)


@given(
    st.lists(
        st.tuples(
            strategies.uints,
            strategies.uints,
            strategies.headers,
            strategies.bodies,
        ),
        max_size=5,
    )
)
def test_deliveries_arrive_with_the_headers_as_they_were_stored(
    rows: list[tuple[int, int, Header, bytes]],
) -> None:
    seqs = [row[0] for row in rows]
    attempts = [row[1] for row in rows]
    bodies = [row[3] for row in rows]
    packed = [pack_header(row[2]) for row in rows]

    found = decode_broker(*encode_deliver(seqs, attempts, packed, bodies))

    assert found == Deliver(seqs, attempts, [row[2] for row in rows], bodies)


@given(strategies.client_messages, strategies.broker_messages)
def test_neither_side_takes_what_only_the_other_may_say(
    client: ClientMessage, broker: BrokerMessage
) -> None:
    with pytest.raises(RemoteProtocolError, match="unknown here"):
        decode_broker(*encode(client))
    with pytest.raises(RemoteProtocolError, match="unknown here"):
        decode_client(*encode(broker))


@given(strategies.client_messages, st.data())
def test_a_changed_field_is_refused_or_means_what_it_says(
    message: ClientMessage, data: st.DataObject
) -> None:
    """No decoder reads a field as something that it is not."""
    head, body = encode(message)
    fields = [*_unpacked(head)]
    at = data.draw(st.integers(0, len(fields) - 1))
    fields[at] = data.draw(
        st.sampled_from(
            [None, True, -1, 0, 2**63, 1.5, "", "x" * 600, b"", [], [[]], [-1], {}]
        )
    )
    try:
        changed = decode_client(packb(fields), body)
    except RemoteProtocolError:
        return
    if fields[0] != Verb.HELLO:  # of another major version only the number is read
        assert _unpacked(encode(changed)[0]) == fields


@given(strategies.client_messages)
def test_a_field_too_few_or_too_many_is_refused(message: ClientMessage) -> None:
    head, body = encode(message)
    fields = [*_unpacked(head)]
    for wrong in (fields[:-1], [*fields, 0]):
        with pytest.raises(RemoteProtocolError):
            decode_client(packb(wrong), body)


@pytest.mark.parametrize("message", [Ping(1), Credit(1, 0, 0, 1000)])
def test_bytes_where_no_body_belongs_are_refused(message: ClientMessage) -> None:
    head, _ = encode(message)
    with pytest.raises(RemoteProtocolError, match="bytes of body"):
        decode_client(head, b"x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "x" * (limits.MAX_ID + 1)},
        {"id": "a b"},
        {"id": "a\n"},
        {"id": 7},
        {"to": ""},
        {"to": "x" * (limits.MAX_TO + 1)},
        {"to": None},
        {"kind": "bounce"},
        {"kind": "shout"},
        {"kind": ["inform"]},
        {"priority": -1},
        {"priority": limits.PRIORITIES},
        {"priority": True},
        {"ttl_ms": 0},
        {"ttl_ms": limits.MAX_TTL_MS + 1},
        {"ttl_ms": 1.0},
        {"thread": ""},
        {"thread": 1},
        {"reply_to": "no spaces here"},
        {"flags": -1},
        {"flags": None},
        {"attachments": {}},
        {"attachments": [[SHA, 1, "a"]]},
        {"attachments": [[SHA.upper(), 1, "a", None]]},
        {"attachments": [[SHA + "\n", 1, "a", None]]},
        {"attachments": [[SHA, limits.MAX_ATTACHMENT + 1, "a", None]]},
        {"attachments": [[SHA, 1, "a", None]] * (limits.MAX_ATTACHMENTS + 1)},
        {"meta": "text"},
        {"meta": b""},
        {"meta": b"\x93\xc0\xc0\xc0"},
        {"meta": packb([None, None, "x" * limits.MAX_META, None])},
        {"meta": packb([1, None, None, None])},
        {"meta": packb([None, ["x" * 65], None, None])},
        {"meta": packb([None, ["x"] * (limits.MAX_LABELS + 1), None, None])},
        {"meta": packb([None, None, float("nan"), None])},
        {"meta": packb([None, None, b"bytes", None])},
        {"meta": packb([None, None, None, {"x": 1}])},
        {"meta": packb([None, None, None, {"x" * 65: "y"}])},
    ],
    ids=repr,
)
def test_a_draft_with_a_wrong_field_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_client(*encode(Send(1, [DRAFT._replace(**wrong)], [b""])))


@pytest.mark.parametrize("count", [0, limits.MAX_BATCH + 1])
def test_a_send_carries_at_least_one_message_and_no_more_than_a_batch(
    count: int,
) -> None:
    with pytest.raises(RemoteProtocolError, match="no messages, or too many"):
        decode_client(*encode(Send(1, [DRAFT] * count, [b""] * count)))


def test_a_full_batch_of_plain_messages_fits_into_a_head() -> None:
    drafts = [DRAFT._replace(id=f"{at:026d}", thread="t" * 26) for at in range(1024)]
    head, body = encode(Send(1, drafts, [b"x" * 256] * limits.MAX_BATCH))
    assert len(head) <= limits.MAX_HEAD
    found = decode_client(head, body)
    assert isinstance(found, Send)
    assert found.drafts == drafts


@pytest.mark.parametrize(
    "sizes",
    [[], [4], [6], [5, 0], [-1], [True], ["5"], None, [limits.MAX_BODY + 1], 5],
    ids=repr,
)
def test_sizes_that_do_not_add_up_to_the_body_are_refused(sizes: object) -> None:
    head = packb([Verb.SEND.value, 1, [DRAFT], sizes])
    with pytest.raises(RemoteProtocolError, match="sizes"):
        decode_client(head, b"hello")


def test_all_that_a_session_may_hold_can_be_acked_at_once() -> None:
    """The worst case: no two neighbours, so that each delivery is a run of its own."""
    worst = [n for seq in range(limits.MAX_CREDIT) for n in (2**62 + 2 * seq, 1, 5)]
    frames = encode(Settle(1, worst, [], [], []))
    assert len(frames[0]) <= limits.MAX_HEAD
    assert decode_client(*frames) == Settle(1, worst, [], [], [])


@pytest.mark.parametrize(
    "runs",
    [[1], [1, 1], [1, limits.MAX_CREDIT + 1, 1], [1, -1, 1], [1, 2**62, 1], [None] * 3],
    ids=repr,
)
def test_runs_that_are_not_threes_or_name_too_many_are_refused(runs: Any) -> None:
    for settle in (Settle(1, runs, [], [], []), Settle(1, [], [], [], runs)):
        with pytest.raises(RemoteProtocolError, match="SETTLE"):
            decode_client(*encode(settle))


@pytest.mark.parametrize(
    ("messages", "size", "lease_ms"),
    [
        (limits.MAX_CREDIT + 1, 0, 1000),
        (0, limits.MAX_CREDIT_BYTES + 1, 1000),
        (1, 1, limits.MIN_LEASE_MS - 1),
        (1, 1, limits.MAX_LEASE_MS + 1),
    ],
)
def test_credit_beyond_the_bounds_is_refused(
    messages: int, size: int, lease_ms: int
) -> None:
    with pytest.raises(RemoteProtocolError, match="CREDIT"):
        decode_client(*encode(Credit(1, messages, size, lease_ms)))


@pytest.mark.parametrize("decode", [decode_client, decode_broker])
@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\x91\xc3",
        b"\x91\xa1a",
        b"\x91\x90",
        b"\x91\x63",
        b"\x80",
    ],
    ids=bytes.hex,
)
def test_a_head_without_a_known_verb_is_refused(
    decode: Callable[[bytes, bytes], object], head: bytes
) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(head, b"")


def _unpacked(head: bytes) -> list[Any]:
    found = unpackb(head)
    assert isinstance(found, list)
    return found
