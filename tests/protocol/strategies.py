"""Hypothesis strategies for everything that can be said."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from ipcbus.protocol import limits
from ipcbus.protocol.calls import METHODS
from ipcbus.protocol.messages import (
    OUTCOMES,
    SENDABLE_KINDS,
    Accepted,
    Answer,
    BrokerMessage,
    Bye,
    Call,
    ClientMessage,
    Closed,
    Credit,
    Draft,
    Header,
    Hello,
    Meta,
    Move,
    Ping,
    Pong,
    RefusedCall,
    Return,
    Send,
    Settle,
    Settled,
    Welcome,
    Xfer,
)
from ipcbus.protocol.pieces import pack_meta, runs

ALNUM = string.ascii_letters + string.digits

uints = st.integers(0, limits.MAX_UINT)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True)
topics = st.lists(
    st.text(f"{ALNUM}_-", min_size=1, max_size=5), min_size=1, max_size=8
).map(".".join)
addresses = st.one_of(
    names,
    st.tuples(names, names).map("@".join),
    topics.map(lambda topic: f"#{topic}"),
    st.just("*"),
)
plain: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=12,
)
facts = st.dictionaries(texts, st.none() | texts | uints, max_size=4)
bodies = st.binary(max_size=64)
attachments = st.lists(
    st.tuples(
        st.text("0123456789abcdef", min_size=64, max_size=64),
        st.integers(0, limits.MAX_ATTACHMENT),
        texts,
        st.none() | texts,
    ).map(list),
    max_size=3,
)
metas = st.builds(
    Meta,
    st.none() | texts,
    st.none() | st.lists(texts, max_size=limits.MAX_LABELS),
    plain,
    st.none() | st.dictionaries(texts, texts, max_size=4),
)
packed_metas = st.none() | metas.map(pack_meta)
priorities = st.integers(0, limits.PRIORITIES - 1)
leases = st.integers(limits.MIN_LEASE_MS, limits.MAX_LEASE_MS)
kinds = st.sampled_from(sorted(SENDABLE_KINDS))

drafts = st.builds(
    Draft,
    ids,
    addresses,
    kinds,
    priorities,
    st.none() | st.integers(1, limits.MAX_TTL_MS),
    st.none() | ids,
    st.none() | ids,
    st.integers(0, 1),
    st.none() | attachments,
    packed_metas,
)
digests = st.binary(min_size=32, max_size=32)
headers = st.builds(
    Header,
    ids,
    names,
    addresses,
    kinds,
    priorities,
    uints,
    st.none() | uints,
    st.none() | ids,
    st.none() | ids,
    st.sampled_from(["local", "foreign", "broker"]),
    st.none() | st.lists(names, max_size=3),
    st.none() | attachments,
    packed_metas,
    st.none() | digests,
    st.integers(0, 31),
)
references = ids | st.tuples(ids, names).map("@".join)
moves = st.builds(
    Move,
    references,
    names | st.tuples(names, names).map("@".join),
    addresses,
    kinds | st.just("bounce"),
    priorities,
    st.none() | st.integers(0, limits.MAX_TTL_MS),
    st.none() | references,
    st.none() | references,
    st.none() | st.lists(names, max_size=3),
    st.none() | attachments,
    packed_metas,
    digests,
    st.integers(0, 31),
    names,
    st.integers(0, limits.MAX_REPLIES),
    st.integers(0, limits.MAX_TTL_MS),
    st.integers(0, limits.MAX_HOPS),
)
receipts = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 3)), unique_by=lambda pair: pair[0]
).map(sorted)

sends = st.lists(st.tuples(drafts, bodies), min_size=1, max_size=5).map(
    lambda pairs: Send(9, [d for d, _ in pairs], [b for _, b in pairs])
)
settles = st.builds(
    Settle,
    uints,
    receipts.map(runs),
    st.lists(
        st.tuples(
            uints, uints, st.integers(0, limits.MAX_TTL_MS), st.none() | texts
        ).map(list),
        max_size=3,
    ),
    st.lists(st.tuples(uints, uints, leases).map(list), max_size=3),
    receipts.map(runs),
)
xfers = st.lists(st.tuples(moves, bodies), min_size=1, max_size=4).map(
    lambda pairs: Xfer(9, 3, [m for m, _ in pairs], [b for _, b in pairs])
)
returns = st.builds(
    Return,
    uints,
    st.lists(
        st.tuples(
            st.sampled_from(sorted(OUTCOMES)),
            names,
            st.sampled_from(["", "5.7.1"]),
            texts,
            st.integers(0, limits.MAX_TTL_MS),
            receipts.map(runs),
        ).map(list),
        max_size=3,
    ),
)
client_messages: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(Hello, st.just(limits.MAJOR), st.just(limits.MINOR), uints, texts),
    st.builds(Bye, st.booleans()),
    st.builds(Ping, uints),
    sends,
    st.builds(
        Credit,
        uints,
        st.integers(0, limits.MAX_CREDIT),
        st.integers(0, limits.MAX_CREDIT_BYTES),
        leases,
    ),
    settles,
    xfers,
    returns,
    st.builds(
        Call,
        uints,
        st.sampled_from(sorted(METHODS)),
        st.lists(texts | uints | st.none(), max_size=5),
        bodies,
    ),
)
broker_messages: st.SearchStrategy[BrokerMessage] = st.one_of(
    st.builds(
        Welcome,
        uints,
        uints,
        names,
        uints,
        uints,
        st.none() | names,
        names,
        uints,
        st.text("0123456789abcdef", max_size=16),
    ),
    st.builds(Closed, texts, facts),
    st.builds(Pong, uints, uints),
    st.builds(Accepted, uints, st.lists(st.tuples(uints, texts, facts).map(list))),
    st.builds(Settled, uints, st.lists(uints)),
    st.builds(Answer, uints, plain, bodies),
    st.builds(RefusedCall, uints, texts, facts),
)
