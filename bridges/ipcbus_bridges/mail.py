"""Messages as a foreign network sees them, and how they become those of ipcbus. PURE.

Whatever a foreign network says is checked here: a broker cuts the connection of a
bridge that hands over what is no message, and with it all the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus import links
from ipcbus_bridges.patterns import is_name, is_topic
from ipcbus_bridges.rule import MAX_BODY, MAX_TTL_MS, PRIORITIES, SENDABLE

DIGEST: Final = 32
"""Bytes of a digest of the protocol."""


_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")


class Mail(NamedTuple):
    """A message on its way into a foreign network, or out of it.

    Names and ids of the foreign network stand alone; those of others have their network
    behind them: `alice@dev`, `m1@dev`.

    Attributes:
        id: what is sent again with this id is the same message.
        sender: a name.
        to: a name or a `#topic`; of what leaves the foreign network `bob@dev`.
        kind: "inform", "request", "reply", "ack" or "control"; what comes in may also
            be a "bounce".
        ttl_ms: milliseconds that are left of its time, or None.
        data: what JSON can say.
        answers: of what leaves: the foreign network vouches that it answers, by
            `reply_to`, what came in over this bridge. Such mail needs no rule.
    """

    id: str
    sender: str
    to: str
    body: bytes = b""
    kind: str = "inform"
    priority: int = 4
    ttl_ms: int | None = None
    thread: str | None = None
    reply_to: str | None = None
    content_type: str | None = None
    labels: Sequence[str] = ()
    data: Any = None
    headers: Mapping[str, str] = {}
    answers: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def come_in(move: links.Move, body: bytes, source: str, here: str) -> Mail:
    """What is handed over to the foreign network `here`, in its words."""
    meta = links.unpack_meta(move.meta)
    to, at, _ = move.to.rpartition("@")
    return Mail(
        _arriving(move.id, source, here),
        _arriving(move.sender, source, here),
        to if at else move.to,
        body,
        move.kind,
        move.priority,
        move.ttl_ms,
        move.thread and _arriving(move.thread, source, here),
        move.reply_to and _arriving(move.reply_to, source, here),
        meta.content_type,
        tuple(meta.labels or ()),
        meta.data,
        meta.headers or {},
    )


def go_out(mail: Mail, now: int, granted: int) -> links.Header:
    """The header of what leaves a foreign network. Raises `InvalidMessage`.

    Args:
        granted: the flag of answers.
    """
    _check(mail)
    meta = _meta(mail)
    said = (*mail[:3], *mail[4:9], meta)
    digest = blake2b(repr(said).encode() + mail.body, digest_size=DIGEST).digest()
    return links.Header(
        mail.id,
        mail.sender,
        mail.to,
        mail.kind,
        mail.priority,
        now,
        None if mail.ttl_ms is None else now + mail.ttl_ms,
        mail.thread,
        mail.reply_to,
        "local",
        None,
        None,
        meta,
        digest,
        granted if mail.answers else 0,
    )


def _meta(mail: Mail) -> bytes | None:
    said = links.unpack_meta(None)._replace(
        content_type=mail.content_type,
        labels=list(mail.labels) or None,
        data=mail.data,
        headers=dict(mail.headers) or None,
    )
    try:
        meta = links.pack_meta(said)
        links.unpack_meta(meta)
    except (ipcbus.errors.ProtocolError, TypeError, ValueError, OverflowError) as error:
        raise _wrong("labels, data or headers", str(error)) from error
    return meta


def _check(mail: Mail) -> None:
    ttl_ms = mail.ttl_ms
    for field, fits in (
        ("id", _ID.match(mail.id) is not None),
        ("sender", is_name(mail.sender)),
        ("to", _is_address(mail.to)),
        ("body", len(mail.body) <= MAX_BODY),
        ("kind", mail.kind in SENDABLE),
        ("priority", mail.priority in range(PRIORITIES)),
        ("ttl_ms", ttl_ms is None or 0 < ttl_ms <= MAX_TTL_MS),
        ("thread", mail.thread is None or _is_ref(mail.thread)),
        ("reply_to", mail.reply_to is None or _is_ref(mail.reply_to)),
    ):
        if not fits:
            raise _wrong(field, "the protocol has no such thing")


def _wrong(field: str, reason: str) -> ipcbus.IpcbusError:
    return ipcbus.errors.InvalidMessage(field=field, reason=reason)


def _is_address(text: str) -> bool:
    if text[:1] == "#":
        return is_topic(text[1:])
    return all(map(is_name, text.split("@", 1))) and "@" in text


def _is_ref(text: str) -> bool:
    base, at, network = text.partition("@")
    return _ID.match(base) is not None and (not at or is_name(network))


def _arriving(text: str, source: str, here: str) -> str:
    """A name or id that was said in network `source`, as it is said `here`."""
    base, at, network = text.rpartition("@")
    if not at:
        return f"{text}@{source}"
    return base if network.lower() == here.lower() else text
