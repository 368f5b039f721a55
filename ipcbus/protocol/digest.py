"""The digest of a message that crosses networks. PURE.

A module of its own: only brokers need it, and a client would pay for the import of
hashing when it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgpack import packb

from ipcbus.protocol.messages import Header
from ipcbus.protocol.pieces import DIGEST


def digests(header: Header, bodies: Sequence[bytes]) -> list[bytes]:
    """The digests of messages that differ in id and body alone.

    The origin of a message makes it once, for all the networks that it crosses: the
    same id with another digest is another message. It leaves out who sent it: the id
    is of one sender, and that one may be called otherwise when it sends it again.
    """
    h = header
    ttl_ms = None if h.expires_at is None else h.expires_at - h.accepted_at
    said = (h.to, h.kind, h.priority, ttl_ms, h.thread, h.reply_to)
    packed = packb((*said, h.attachments, h.meta))
    return [blake2b(packed + body, digest_size=DIGEST).digest() for body in bodies]


def digested(header: Header, body: bytes) -> Header:
    """The header with the digest of its message."""
    return header._replace(digest=digests(header, [body])[0])
