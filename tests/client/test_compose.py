"""From what a caller says to a draft."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.client.compose import compose
from ipcbus.client.message import Attachment, Outgoing
from ipcbus.client.outbox import Sending
from ipcbus.errors import BoundExceeded, InvalidAddress, InvalidMessage
from ipcbus.protocol import limits
from ipcbus.protocol.codec import decode_client, encode
from ipcbus.protocol.messages import FLAG_ACKED, FLAG_FUTURE, FLAG_RELAYED, Send
from ipcbus.protocol.pieces import unpack_meta

TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=8,
)
IDS = st.from_regex(r"\A[A-Za-z0-9._:-]{1,64}\Z")
REFS = IDS | st.from_regex(r"\A[A-Za-z0-9._:-]{1,64}@[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")
SHA256 = st.from_regex(r"\A[0-9a-f]{64}\Z")

OUTGOING = st.builds(
    Outgoing,
    to=st.sampled_from(["bob", "bob@prod", "#news.today", "*"]),
    body=st.text() | st.binary(),
    data=JSON,
    kind=st.sampled_from(["inform", "request", "reply", "ack", "control"]),
    thread=st.none() | REFS,
    reply_to=st.none() | REFS,
    ttl=st.none() | st.floats(0.001, 3600),
    priority=st.integers(0, 9),
    id=st.none() | IDS,
    future=st.booleans(),
    attach=st.lists(
        st.builds(Attachment, SHA256, st.integers(0, 1000), TEXT, st.none() | TEXT),
        max_size=3,
    ).map(tuple),
    content_type=st.none() | TEXT,
    labels=st.lists(TEXT, max_size=3).map(tuple),
    headers=st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
    receipt=st.sampled_from([None, "relayed", "acked"]),
)


@given(OUTGOING)
def test_what_is_composed_is_what_a_broker_takes(out: Outgoing) -> None:
    draft, body = compose(out, lambda: "fresh-id")
    sending = Sending.of(draft, body)
    head, frame = encode(Send(1, [draft], [body]))
    assert len(head) <= sending.head + 16
    decoded = decode_client(head, frame)
    assert isinstance(decoded, Send)
    assert decoded.bodies == [body]
    (read,) = decoded.drafts
    assert read == draft
    assert read.id == (out.id or "fresh-id")
    assert unpack_meta(read.meta).data == out.data


def test_plain_text_needs_no_meta() -> None:
    draft, body = compose(Outgoing("bob", "hi"), lambda: "i")
    assert draft.meta is None
    assert body == b"hi"


def test_bytes_say_what_they_are() -> None:
    draft, _ = compose(Outgoing("bob", b"hi"), lambda: "i")
    assert unpack_meta(draft.meta).content_type == "application/octet-stream"


def test_tuples_are_lists() -> None:
    draft, _ = compose(Outgoing("bob", data={"a": (1, (2,))}), lambda: "i")
    assert unpack_meta(draft.meta).data == {"a": [1, [2]]}


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ({}, 0),
        ({"future": True}, FLAG_FUTURE),
        ({"receipt": "relayed"}, FLAG_RELAYED),
        ({"receipt": "acked", "future": True}, FLAG_ACKED | FLAG_FUTURE),
    ],
)
def test_what_the_broker_shall_do_is_in_the_flags(
    said: dict[str, Any], flags: int
) -> None:
    draft, _ = compose(Outgoing("bob", **said), lambda: "i")
    assert draft.flags == flags


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": 5},
        {"body": "\ud800"},
        {"kind": "bounce"},
        {"kind": "whisper"},
        {"kind": ["inform"]},
        {"priority": -1},
        {"priority": 10},
        {"priority": 1.5},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": 400 * 24 * 3600},
        {"ttl": "5"},
        {"ttl": float("nan")},
        {"ttl": 0.0001},
        {"id": ""},
        {"id": "x" * 65},
        {"id": "a b"},
        {"id": "m1@dev"},
        {"thread": "a b"},
        {"thread": "m1@"},
        {"reply_to": 7},
        {"reply_to": "m1@dev@prod"},
        {"receipt": "read"},
        {"receipt": ""},
        {"receipt": ["acked"]},
        {"data": {1: 2}},
        {"data": float("nan")},
        {"data": 2**65},
        {"data": LOOP},
        {"labels": ("x",) * 17},
        {"labels": ("x" * 65,)},
        {"labels": 5},
        {"labels": "text"},
        {"headers": "text"},
        {"headers": {"x": 1}},
        {"content_type": "x" * 129},
        {"attach": (Attachment("00", 1, "x"),)},
        {"attach": ("a path",)},
    ],
)
def test_a_mistake_is_told_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage) as raised:
        compose(Outgoing(**{"to": "bob", **wrong}), lambda: "i")
    assert raised.value.field in wrong


@pytest.mark.parametrize(
    "to", ["", "a b", "#", "bob@", "@dev", "x" * 33, 5, None, ["bob"]]
)
def test_an_address_that_is_none_is_told_apart(to: Any) -> None:
    with pytest.raises(InvalidAddress):
        compose(Outgoing(to), lambda: "i")


def test_bounds_say_which_and_how_much() -> None:
    with pytest.raises(BoundExceeded) as raised:
        compose(Outgoing("bob", "x" * (limits.MAX_BODY + 1)), lambda: "i")
    assert raised.value.facts == {
        "bound": "body",
        "value": limits.MAX_BODY + 1,
        "limit": limits.MAX_BODY,
    }
    with pytest.raises(BoundExceeded, match="data"):
        compose(Outgoing("bob", data="x" * (limits.MAX_META + 1)), lambda: "i")
