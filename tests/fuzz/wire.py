"""Targets: what comes over the wire, in this protocol and in the old one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import packb

from ipcbus.client import invitations
from ipcbus.errors import InvalidAddress, InvalidMessage, RemoteProtocolError
from ipcbus.protocol import address
from ipcbus.protocol.codec import (
    Frames,
    decode_broker,
    decode_client,
    encode,
    encode_deliver,
)
from ipcbus.protocol.messages import Deliver
from ipcbus.protocol.pieces import pack_header, pack_meta, unpack_header, unpack_meta
from ipcbus_bridges.claude_ipc import requests
from ipcbus_bridges.claude_ipc.framing import BadRequest, Framing
from ipcbus_bridges.claude_ipc.state import hash_of
from tests.fuzz.target import Target, again, same, text, texts
from tests.protocol import strategies

SOME: Final = 40
"""Seeds of each kind."""


def join(frames: Frames) -> bytes:
    """Two frames as one input: the length of the head in two bytes, and both."""
    head, body = frames
    return len(head).to_bytes(2, "big") + head + body


def split(data: bytes) -> Frames:
    size = int.from_bytes(data[:2], "big")
    return data[2 : 2 + size], data[2 + size :]


def _from_client(data: bytes) -> None:
    said = decode_client(*split(data))
    same("a client's message", said, again("it", lambda: decode_client(*encode(said))))


def _from_broker(data: bytes) -> None:
    said = decode_broker(*split(data))
    if isinstance(said, Deliver):
        frames = encode_deliver(
            said.seqs, said.attempts, list(map(pack_header, said.headers)), said.bodies
        )
    else:
        frames = encode(said)
    same("a broker's message", said, again("it", lambda: decode_broker(*frames)))


def _header(data: bytes) -> None:
    header = unpack_header(data)
    packed = pack_header(header)
    same("a header", header, again("it", lambda: unpack_header(packed)))


def _meta(data: bytes) -> None:
    meta = unpack_meta(data)
    packed = pack_meta(meta)
    same("a meta", meta, again("it", lambda: unpack_meta(packed)))


def _address(data: bytes) -> None:
    found = address.parse(text(data))
    same("an address", found, again("it", lambda: address.parse(str(found))))
    str(found).encode("ascii")
    address.arriving(str(found), "dev", "prod")


def _topics(data: bytes) -> None:
    pattern, _, topic = text(data).partition(" ")
    address.check_pattern(pattern)
    address.check_topic(topic)
    if pattern == topic and not address.matches(pattern, topic):
        same("a topic and itself", True, False)


def _invitation(data: bytes) -> None:
    """Also as the line that is in it, so that a fuzzer need not find base64."""
    inner = base64.urlsafe_b64encode(data).decode()
    for line in (text(data), invitations.PREFIX + inner):
        try:
            found = invitations.read(line)
        except InvalidMessage as error:
            kept = error
        else:
            repr(found).encode()
            return
    raise kept


def _old_request(data: bytes) -> None:
    """In two pieces cut at any place it must be whole where it is in one."""
    whole = Framing()
    ends = whole.feed(data)
    at = len(data) // 2
    pieces = Framing()
    ended = pieces.feed(data[:at]) or pieces.feed(data[at:])
    same("whether a request is whole", ends, ended)
    if ends:
        token = requests.read(data).session_token
        if token is not None:
            hash_of(token)  # who asks is looked up first


@cache
def _drawn() -> dict[str, list[bytes]]:
    """Messages of all kinds, the same in each run."""
    kinds: dict[str, list[bytes]] = {
        kind: [] for kind in ("client", "broker", "header", "meta")
    }

    @settings(max_examples=SOME, database=None, derandomize=True, deadline=None)
    @given(
        strategies.client_messages,
        strategies.broker_messages,
        strategies.headers,
        st.lists(strategies.metas, min_size=1, max_size=2),
    )
    def gather(client: Any, broker: Any, header: Any, metas: list[Any]) -> None:
        kinds["client"].append(join(encode(client)))
        kinds["broker"].append(join(encode(broker)))
        packed = pack_header(header)
        delivered = encode_deliver([1, 2], [1, 1], [packed] * 2, [b"ab", b""])
        kinds["broker"].append(join(delivered))
        kinds["header"].append(packed)
        kinds["meta"] += [found for meta in metas if (found := pack_meta(meta))]

    gather()
    return kinds


def _some(kind: str) -> Callable[[], Sequence[bytes]]:
    return lambda: _drawn()[kind]


def _invitations() -> list[bytes]:
    key = "7e" * 32
    fields = ["dev", "tcp://127.0.0.1:9876", key, "bob", key, 2_000_000_000_000]
    packed: bytes = packb(fields)
    line = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return [packed, (invitations.PREFIX + line).encode()]


def _old_requests() -> list[bytes]:
    message = {"content": "hello", "data": {"a": [1, None, 2.5]}, "type": "x"}
    asked: list[dict[str, Any]] = [
        {"action": "register", "instance_id": "fred", "auth_token": "x"},
        {"action": "send", "to_id": "bob", "message": message, "session_token": "t"},
        {"action": "broadcast", "message": message, "session_token": "t"},
        {"action": "check", "session_token": "t"},
        {"action": "list", "session_token": 'a"\\'},
        {"action": "rename", "new_id": "bob@prod", "session_token": "t"},
    ]
    return [json.dumps(one).encode() for one in asked]


TARGETS: Final = (
    Target("client-frames", _from_client, (RemoteProtocolError,), _some("client")),
    Target("broker-frames", _from_broker, (RemoteProtocolError,), _some("broker")),
    Target("headers", _header, (RemoteProtocolError,), _some("header")),
    Target("meta", _meta, (RemoteProtocolError,), _some("meta")),
    Target(
        "addresses",
        _address,
        (InvalidAddress,),
        texts("bob", "bob@prod", "#build.main", "*", "a.b-c_d@x"),
    ),
    Target(
        "topics",
        _topics,
        (InvalidAddress,),
        texts("build.** build.main.x", "*.b a.b", "** a", "a.b a.b"),
    ),
    Target("invitations", _invitation, (InvalidMessage,), _invitations),
    Target("old-requests", _old_request, (BadRequest,), _old_requests),
)
