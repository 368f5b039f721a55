"""From what a caller says to a draft, checked: a mistake is told where it is made,
not by the broker later.

Most messages have an address and a body and nothing else. For these all of a draft but
its id is made and checked once for each address, by the same function as all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ipcbus.client.message import Attachment, Outgoing, Pair
from ipcbus.client.outbox import Rest, Sending, head_size
from ipcbus.client.sayable import is_number, text
from ipcbus.errors import (
    BoundExceeded,
    InvalidAddress,
    InvalidMessage,
    RemoteProtocolError,
)
from ipcbus.protocol import address, fields, limits
from ipcbus.protocol.messages import (
    FLAG_ACKED,
    FLAG_FUTURE,
    FLAG_RELAYED,
    INFORM,
    SENDABLE_KINDS,
    Draft,
    Meta,
)
from ipcbus.protocol.pieces import load, pack_meta, packed_size

BYTES = "application/octet-stream"

RECEIPTS = {None: 0, "relayed": FLAG_RELAYED, "acked": FLAG_ACKED}

_BYTES_META = pack_meta(Meta(content_type=BYTES))

_addresses: dict[str, None] = {}
"""Addresses that were found right: most programs write to a few."""
MOST_ADDRESSES = 4096


class Template(NamedTuple):
    """What plain messages to one address have in common: all of a draft but its id,
    and what that takes in a head."""

    rest: Rest
    head: int


_templates: dict[type, dict[str, Template]] = {str: {}, bytes: {}}
"""By the type of the body, and by the address."""

_ITEMS_RULE = (
    f"has too many items: a map has up to {limits.MAX_MAP}, a list up to "
    f"{limits.MAX_ARRAY}, all of it is up to {limits.MAX_META} bytes"
)

_MESSAGE_RULE = "must be an Outgoing, or an address and a body"

_ID_RULE = f"1 to {limits.MAX_ID} letters, digits, '.', '_', ':', '-'"


def make(out: Outgoing | Pair, fresh_id: Callable[[], str]) -> Sending:
    """A message under way. Raises what `compose` raises."""
    if not isinstance(out, Outgoing):
        if type(out) is tuple and len(out) == 2:
            return plain(out[0], out[1], fresh_id)
        raise InvalidMessage(field="message", reason=_MESSAGE_RULE)
    to, body, data, kind, thread, reply_to, ttl, priority, id_, future, *more = out
    attach, content_type, labels, headers, receipt = more
    # By identity: True and 4.0 are equal to a priority, and are none.
    if (
        thread is reply_to is id_ is None
        and data is None
        and ttl is None
        and content_type is headers is receipt is None
        and kind is INFORM
        and priority is limits.DEFAULT_PRIORITY
        and not (future or attach or labels)
    ):
        return plain(to, body, fresh_id)
    return Sending.of(*compose(out, fresh_id))


def plain(to: str, body: str | bytes, fresh_id: Callable[[], str]) -> Sending:
    """`make` of a message of which nothing else is said."""
    known = _templates.get(type(body))
    if known is None or type(to) is not str:
        return Sending.of(*compose(Outgoing(to, body), fresh_id))
    template = known.get(to) or _learn_template(known, to, body)
    return Sending(fresh_id(), template.rest, _raw(body), template.head)


def _learn_template(known: dict[str, Template], to: str, body: str | bytes) -> Template:
    draft, _ = compose(Outgoing(to, body), lambda: "")
    if len(known) >= MOST_ADDRESSES:
        known.clear()
    template = known[to] = Template(draft[1:], head_size(draft))
    return template


def compose(out: Outgoing, fresh_id: Callable[[], str]) -> tuple[Draft, bytes]:
    """The draft and the body.

    Raises `InvalidMessage`, `InvalidAddress`, `BoundExceeded`.
    """
    to = out.to if type(out.to) is str else _spelt(out.to)
    if to not in _addresses:
        _learn(to)
    raw = _raw(out.body)
    kind, priority, thread, reply_to = out.kind, out.priority, out.thread, out.reply_to
    if type(kind) is not str or kind not in SENDABLE_KINDS:
        raise InvalidMessage(
            field="kind", reason=f"must be one of {', '.join(sorted(SENDABLE_KINDS))}"
        )
    if type(priority) is not int or not 0 <= priority < limits.PRIORITIES:
        raise InvalidMessage(field="priority", reason="must be 0 to 9")
    if thread is not None:
        _check_ref("thread", thread)
    if reply_to is not None:
        _check_ref("reply_to", reply_to)
    if out.id is not None:
        _check_id("id", out.id)
    draft = Draft(
        out.id or fresh_id(),
        to,
        kind,
        priority,
        None if out.ttl is None else _ttl_ms(out.ttl),
        thread,
        reply_to,
        _flags(out) if out.future or out.receipt is not None else 0,
        _attachments(out.attach) if out.attach else None,
        _meta(out),
    )
    return draft, raw


def _raw(body: str | bytes) -> bytes:
    if type(body) is bytes:
        raw = body
    elif isinstance(body, str):
        raw = text("body", body).encode()
    elif isinstance(body, (bytes, bytearray, memoryview)):
        raw = bytes(body)
    else:
        raise InvalidMessage(field="body", reason="must be str or bytes")
    if len(raw) > limits.MAX_BODY:
        raise BoundExceeded(bound="body", value=len(raw), limit=limits.MAX_BODY)
    return raw


def _spelt(to: object) -> str:
    if not isinstance(to, (str, address.Address)):
        raise InvalidAddress(address=to, reason="it is no text")
    return str(to)


def _learn(to: str) -> None:
    address.parse(to)
    if len(_addresses) >= MOST_ADDRESSES:
        _addresses.clear()
    _addresses[to] = None


def _check_id(field: str, text: object) -> None:
    if not (isinstance(text, str) and address.is_id(text)):
        raise InvalidMessage(field=field, reason=f"must be {_ID_RULE}")


def _check_ref(field: str, text: object) -> None:
    """Of messages that may be of another network: `ID@network`."""
    if not (isinstance(text, str) and address.is_ref(text)):
        reason = f"must be {_ID_RULE}, with @NETWORK behind it if it is of another one"
        raise InvalidMessage(field=field, reason=reason)


def _flags(out: Outgoing) -> int:
    receipt: Any = out.receipt
    if not isinstance(receipt, str | None) or receipt not in RECEIPTS:
        raise InvalidMessage(field="receipt", reason="must be relayed or acked")
    return RECEIPTS[receipt] | (FLAG_FUTURE if out.future else 0)


def _ttl_ms(ttl: float) -> int:
    most = limits.MAX_TTL_MS // 1000
    ms = int(ttl * 1000) if is_number(ttl) and 0 < ttl <= most else 0
    if ms == 0:
        raise InvalidMessage(field="ttl", reason=f"must be above 0, up to {most} s")
    return ms


def _meta(out: Outgoing) -> bytes | None:
    content_type = out.content_type
    if content_type is out.data is out.headers is None and not out.labels:
        return None if type(out.body) is str else _BYTES_META
    if content_type is None and not isinstance(out.body, str):
        content_type = BYTES
    labels: Any = out.labels or None
    if isinstance(labels, tuple):
        labels = list(labels)
    headers = out.headers or None
    data = _plain(out.data, limits.MAX_DEPTH, [0])
    for field, fits, rule in (
        ("content_type", fields.opt_text(content_type, 128), "a text of up to 128"),
        ("labels", fields.is_labels(labels), "up to 16 texts of up to 64 letters"),
        ("headers", fields.is_headers(headers), "up to 32 texts of up to 1024 by name"),
        ("data", fields.is_plain(data), f"JSON, up to {limits.MAX_DEPTH} levels deep"),
    ):
        if not fits:
            raise InvalidMessage(field=field, reason=f"must be {rule}")
    return _packed(Meta(content_type, labels, data, headers))


def _packed(meta: Meta) -> bytes | None:
    """As every receiver can read it."""
    try:
        packed = pack_meta(meta)
    except UnicodeEncodeError as error:
        field = next(name for name, part in meta._asdict().items() if _is_torn(part))
        raise InvalidMessage(field=field, reason="is not valid text") from error
    if packed is not None and len(packed) > limits.MAX_META:
        raise BoundExceeded(bound="data", value=len(packed), limit=limits.MAX_META)
    if packed is not None and len(packed) > limits.MAX_MAP:
        try:  # only now a list or a map can have more items than a reader takes
            load(packed)
        except RemoteProtocolError as error:
            raise InvalidMessage(field="data", reason=_ITEMS_RULE) from error
    return packed


def _is_torn(part: Any) -> bool:
    """Whether half a letter is somewhere in it, which UTF-8 cannot say."""
    try:
        packed_size(part)
    except UnicodeEncodeError:
        return True
    return False


def _plain(data: Any, depth: int, items: list[int]) -> Any:
    """Tuples as lists, as in `json`: what is read back is what was meant. Below the
    depth that is allowed nothing is touched; it will be refused. `items` counts them:
    what refers to itself in many places would have no end of them."""
    if depth < 0 or not isinstance(data, (list, tuple, dict)):
        return data
    items[0] += len(data)
    if items[0] > limits.MAX_META:  # each takes a byte at least
        raise InvalidMessage(field="data", reason=_ITEMS_RULE)
    if isinstance(data, dict):
        return {key: _plain(value, depth - 1, items) for key, value in data.items()}
    return [_plain(item, depth - 1, items) for item in data]


def _attachments(attach: tuple[Any, ...]) -> list[list[Any]]:
    given: Any = attach if isinstance(attach, (tuple, list)) else (None,)
    rows = [list(item) for item in given if isinstance(item, Attachment)]
    if len(rows) != len(given) or not fields.is_attachments(rows):
        raise InvalidMessage(
            field="attach",
            reason=f"must be up to {limits.MAX_ATTACHMENTS} uploaded attachments",
        )
    for item in given:
        text("attach", item.name + (item.content_type or ""))
    return rows
