"""What a newer peer may add, and what it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgpack import packb, unpackb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol.codec import decode_broker, decode_client, encode, encode_deliver
from ipcbus.protocol.limits import MAJOR, MINOR
from ipcbus.protocol.messages import BrokerMessage, Hello, Meta, Verb
from ipcbus.protocol.pieces import unpack_header, unpack_meta
from tests.protocol import strategies
from tests.protocol.test_pieces import HEADER


def test_of_another_major_version_nothing_but_the_number_is_read() -> None:
    """So that the broker can say `version` to whatever comes after this one."""
    head = packb([Verb.HELLO.value, MAJOR + 1, 7, {"all": "new"}])
    assert decode_client(head, b"and a body") == Hello(MAJOR + 1, 7, 0, "")


def test_a_hello_of_a_newer_minor_version_may_be_longer() -> None:
    head = packb([Verb.HELLO.value, MAJOR, MINOR + 1, 3, "new", "more", 7])
    assert decode_client(head, b"") == Hello(MAJOR, MINOR + 1, 3, "new")


def test_a_hello_of_this_version_may_not_be_longer() -> None:
    head = packb([Verb.HELLO.value, MAJOR, MINOR, 3, "new", "more"])
    with pytest.raises(RemoteProtocolError, match="fields"):
        decode_client(head, b"")


@pytest.mark.parametrize("fields", [[], [MAJOR], [MAJOR, "0"], [-1, 0], [None, 0]])
def test_a_hello_without_a_version_is_refused(fields: list[object]) -> None:
    with pytest.raises(RemoteProtocolError, match="without a version"):
        decode_client(packb([Verb.HELLO.value, *fields]), b"")


@given(strategies.broker_messages)
def test_what_a_newer_broker_adds_at_the_end_is_ignored(message: BrokerMessage) -> None:
    head, body = encode(message)
    longer = packb([*unpackb(head), "new", {"and": "more"}])
    assert decode_broker(longer, body) == message


def test_a_header_and_a_delivery_may_grow_at_the_end() -> None:
    longer = packb([*HEADER, "new"])
    assert unpack_header(longer) == HEADER

    head, body = encode_deliver([1], [1], [longer], [b"x"])
    grown = packb([*unpackb(head), "new"])
    assert decode_broker(grown, body) == decode_broker(head, body)


def test_a_meta_may_grow_at_the_end() -> None:
    """A newer sender writes it; the broker hands it on, an older receiver reads it."""
    packed = packb(["text/plain", None, None, None, "new"])
    assert unpack_meta(packed) == Meta("text/plain")
