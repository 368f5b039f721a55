"""Every bound of the wire: unit, reason, precedent.

A bound that an operator may change lives in `broker.settings`; those here are
part of the protocol, and both sides may rely on them.
"""

from typing import Final

MAJOR: Final = 1
"""Protocol version that both sides must share."""

MINOR: Final = 3
"""Additions since MAJOR; an older minor is always served."""

ALIKE: Final = 2
"""The minor from which an id alone may stand for a whole draft or header."""

KIB: Final = 1024
MIB: Final = 1024 * 1024

MAX_BODY: Final = 1 * MIB
"""Bytes of one inline body, as NATS ships with; larger goes by reference."""

MAX_HEAD: Final = 256 * KIB
"""Bytes of a client's head frame. A full batch of 1,024 headers of 200 bytes fits;
decoding costs at most 68 times this in memory (an array of empty arrays), 17 MiB."""

MAX_FRAME: Final = MAX_BODY + 64 * KIB
"""Bytes of any frame (ZMQ_MAXMSGSIZE): one whole body, or a batch of small ones."""

MAX_BATCH: Final = 1024
"""Messages in one frame. Past this a batch gains nothing and only delays others."""

BATCH_BYTES: Final = 256 * KIB
"""Bytes of bodies at which a batch is closed, unless a single body is larger:
one long frame holds up every other peer of the broker for its transfer."""

SEND_WINDOW: Final = 4096
"""Messages a client may have unanswered. Must exceed a round trip's worth."""

SEND_WINDOW_BYTES: Final = 8 * MIB
"""Bytes a client may have unanswered; the broker's byte watchdog relies on it."""

UNREAD_BYTES: Final = 4 * SEND_WINDOW_BYTES
"""Bytes that a connection may have sent without a whole message having come of
them before it is cut: only an endless multipart gets here."""

MAX_CREDIT: Final = 8192
"""Unacked deliveries that a session may allow itself."""

MAX_CREDIT_BYTES: Final = 64 * MIB
"""The same in bytes; this bounds what the broker queues for a reader that stalls."""

MAX_DEPTH: Final = 8
"""Nesting of structured data. JSON tools stop far above, people far below."""

MAX_ARRAY: Final = 3 * MAX_CREDIT
"""Items of any array: a SETTLE can ack all that a session may hold, one run each."""

MAX_MAP: Final = 256
"""Keys of any map."""

MAX_UINT: Final = 2**63 - 1
"""An unsigned integer of the wire: what SQLite can store."""

MAX_META: Final = 64 * KIB
"""Bytes of the packed `meta` of one message: content type, labels, data, headers."""

MAX_LABELS: Final = 16
MAX_HEADERS: Final = 32
MAX_ATTACHMENTS: Final = 16
MAX_ATTACHMENT: Final = 256 * MIB
"""Bytes of one attachment."""

CHUNK: Final = 256 * KIB
"""Bytes of one piece of an attachment: small enough to leave room between pieces
for other peers, large enough that the commit of each is not what counts."""

MAX_ID: Final = 64
MAX_NAME: Final = 32
"""Letters of an agent's or network's name; claude-ipc-mcp has the same."""
MAX_REF: Final = MAX_ID + 1 + MAX_NAME
"""Letters of an id with the network it is of."""
MAX_HOP: Final = MAX_NAME + 1 + 16
"""Letters of a hop: a network's name and its id."""
MAX_HOPS: Final = 8
"""Networks that a message may have come through; mail stops at 25 to 100 relays."""
MAX_REPLIES: Final = 1000
"""Answers that one message may grant."""
MAX_HOLD_MS: Final = 7 * 24 * 3600 * 1000
"""How long mail may wait for another network; ids of what came from one are known for
a day longer, so that no resend is ever taken for new."""
MAX_TOPIC: Final = 128
MAX_TOPIC_PARTS: Final = 8
MAX_TO: Final = 1 + MAX_TOPIC
"""Letters of an address: a topic with its `#` is the longest."""
MAX_TEXT: Final = 512
"""Letters of a reason, a program name or another short text."""

MAX_TTL_MS: Final = 365 * 24 * 3600 * 1000
MIN_LEASE_MS: Final = 1_000
MAX_LEASE_MS: Final = 12 * 3600 * 1000
"""As SQS: a job longer than half a day should extend its lease."""

PRIORITIES: Final = 10
"""0 to 9, as in JMS and AMQP; DEFAULT_PRIORITY is neither."""
DEFAULT_PRIORITY: Final = 4

PING_S: Final = 2.0
"""Seconds between a client's pings when it has nothing else to say."""

PINGS_MISSED: Final = 3
"""Silent ping intervals after which either side gives the other up."""

HANDSHAKE_MS: Final = 2_000
"""Milliseconds for the CURVE handshake; a silent connection is closed after it."""

HELLO_S: Final = 30.0
"""Seconds after which a connection is cut on which nothing was ever said."""

PAGE: Final = 200
"""Rows of one answer to a listing call."""
