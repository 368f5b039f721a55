"""Whatever clients say, the core answers: no message stops it, or breaks what it
promises of its state. A bug here would stop the broker of everybody."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcbus.broker.events import Broken, Event, PeerLost, Received
from ipcbus.broker.settings import Settings
from ipcbus.protocol.calls import METHODS
from ipcbus.protocol.codec import decode_client, encode
from ipcbus.protocol.limits import MAX_LEASE_MS, MIB, MIN_LEASE_MS
from ipcbus.protocol.messages import (
    SENDABLE_KINDS,
    Bye,
    Call,
    ClientMessage,
    Credit,
    Draft,
    Hello,
    Meta,
    Ping,
    Send,
    Settle,
)
from ipcbus.protocol.pieces import pack_meta
from tests.broker.harness import OPERATOR, OPERATOR_KEY, Harness, key_of

NAMES = ("alice", "bob", "carol", "ghost")
PEERS = (*(f"{n}{m}".encode() for n in NAMES for m in ("", "/2")), OPERATOR)

# Few values of each kind, so that what is said meets what was said before.
ids = st.sampled_from(["m1", "m2", "m3", "ipcbus-1", "ipcbus-9", "x" * 64])
names = st.sampled_from([*NAMES, "BOB", "ipcbus", "no name", "", "bob@dev", "bob@prod"])
topics = st.sampled_from(["build", "build.**", "*", "**", "#build", "a..b", "x" * 200])
keys = st.sampled_from([*map(key_of, NAMES), OPERATOR_KEY, "00" * 32, "short", ""])
hashes = st.sampled_from(["a" * 64, "b" * 64, "A" * 64, "short"])
seqs = st.integers(0, 12)
numbers = st.one_of(st.integers(0, 12), st.sampled_from([1000, 2**31, 2**63 - 1]))
texts = st.one_of(ids, names, topics, keys, hashes, st.text(max_size=8))

drafts = st.builds(
    Draft,
    id=ids,
    to=st.one_of(st.sampled_from(NAMES), st.sampled_from(["*", "#build", "b@x", "?"])),
    kind=st.sampled_from(sorted(SENDABLE_KINDS)),
    priority=st.integers(0, 9),
    ttl_ms=st.sampled_from([None, 1, 1000]),
    thread=st.none() | ids,
    reply_to=st.none() | ids,
    flags=st.sampled_from([0, 1, 2, 2**40]),
    attachments=st.sampled_from([None, [], [["a" * 64, 3, "f", None]]]),
    meta=st.sampled_from([None, pack_meta(Meta(labels=["l"], data={"a": [1]}))]),
)


@st.composite
def sends(draw: st.DrawFn) -> Send:
    batch = draw(st.lists(drafts, min_size=1, max_size=4))
    return Send(draw(seqs), batch, [b"body"] * len(batch))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from([*METHODS, "unknown"]))
    method = METHODS.get(name)
    args = [
        draw(texts if parameter.type is str else numbers)
        for parameter in (method.parameters if method else ())
    ]
    return Call(draw(seqs), name, args, draw(st.sampled_from([b"", b"abc"])))


flat_runs = st.lists(st.tuples(seqs, st.integers(0, 3), st.integers(0, 3)), max_size=3)
runs = flat_runs.map(lambda rows: [number for row in rows for number in row])
delays = st.sampled_from([0, 1, 1000])
leases = st.sampled_from([MIN_LEASE_MS, MAX_LEASE_MS])
settles = st.builds(
    Settle,
    ref=seqs,
    acks=runs,
    nacks=st.lists(
        st.tuples(seqs, seqs, delays, st.sampled_from([None, "no"])).map(list),
        max_size=2,
    ),
    extends=st.lists(st.tuples(seqs, seqs, leases).map(list), max_size=2),
    releases=runs,
)
messages: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(Hello, st.sampled_from([1, 1, 1, 2]), st.just(0), seqs, st.just("p")),
    st.builds(Bye, st.booleans()),
    st.builds(Ping, seqs),
    sends(),
    st.builds(Credit, seqs, seqs, st.sampled_from([0, 10, MIB]), leases),
    settles,
    calls(),
)
peers = st.sampled_from(PEERS)


@st.composite
def events(draw: st.DrawFn) -> Event:
    peer = draw(peers)
    key = OPERATOR_KEY if peer == OPERATOR else key_of(peer.decode().split("/")[0])
    what = draw(st.integers(0, 19))
    if what == 0:
        return PeerLost(peer)
    if what == 1:
        return Broken(peer, key, "not msgpack")
    return Received(peer, key, draw(messages))


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.lists(events(), max_size=6), delays), max_size=25))
def test_the_core_survives_whatever_is_said(
    turns: list[tuple[list[Event], int]],
) -> None:
    bus = Harness(Settings(max_attempts=2, mailbox_messages=3, history_ms=0))
    bus.join_up("alice", "bob", "carol")
    for heard, pause_ms in turns:
        bus.turn(*heard)
        bus.advance(pause_ms / 1000)


@given(messages)
def test_what_is_said_here_is_what_the_wire_lets_through(
    message: ClientMessage,
) -> None:
    """The soup above is not poorer than what a client can send."""
    frames = encode(message)
    assert type(decode_client(*frames)) is type(message)
