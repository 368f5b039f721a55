"""What can be said to a broker: looked at where it is given, in the caller's thread.

What the socket's thread cannot pack would fail there, far from who said it; and what a
broker cannot read ends the session, with all that others have under way in it. Each
function raises `InvalidMessage` with the field, or `BoundExceeded` with the bound.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from ipcbus.errors import BoundExceeded, InvalidMessage
from ipcbus.protocol import address, calls, limits
from ipcbus.protocol.fields import uint
from ipcbus.protocol.pieces import packed_size

MOST_ARGS = 16
"""Arguments of a call; PROTOCOL.md."""

HEAD_REST = 64
"""Bytes of a call's head beside its arguments, at the most."""


def end_of(timeout: float | None) -> float:
    """The time of the monotonic clock in `timeout` seconds; None is never."""
    if timeout is None:
        return float("inf")
    return time.monotonic() + number("timeout", timeout)


def number(field: str, value: Any) -> float:
    """`value`, which may be infinite."""
    if not is_number(value) or math.isnan(value):
        raise InvalidMessage(field=field, reason="must be a number")
    return float(value)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(field: str, value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        reason = f"must be a whole number from {least} to {most}"
        raise InvalidMessage(field=field, reason=reason)
    return value


def lease_ms(lease: float) -> int:
    low, high = limits.MIN_LEASE_MS // 1000, limits.MAX_LEASE_MS // 1000
    if not is_number(lease) or not low <= lease <= high:
        raise InvalidMessage(field="lease", reason=f"must be {low} to {high} seconds")
    return int(lease * 1000)


def delay_ms(delay: float) -> int:
    """Of a nack; one that is past is none."""
    high = limits.MAX_TTL_MS // 1000
    if not is_number(delay) or not delay <= high:
        raise InvalidMessage(field="delay", reason=f"must be up to {high} seconds")
    return max(0, int(delay * 1000))


def text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidMessage(field=field, reason="must be text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage(field=field, reason="is not valid text") from error
    return value


def ref(field: str, value: Any) -> str:
    """The id of a message, maybe of another network's."""
    if not (isinstance(value, str) and address.is_ref(value)):
        raise InvalidMessage(field=field, reason="must be the id of a message")
    return value


def check_call(name: str, args: Sequence[Any], body: bytes) -> None:
    """Whether it has the shape of a call. What the broker that serves knows of it, and
    who may make it, is the broker's business: it may be a newer one."""
    if type(name) is not str or not 0 < len(text("call", name)) <= limits.MAX_NAME:
        reason = f"must be a name of up to {limits.MAX_NAME} letters"
        raise InvalidMessage(field="call", reason=reason)
    if len(args) > MOST_ARGS:
        raise InvalidMessage(field=name, reason=f"takes {MOST_ARGS} arguments at most")
    for index, value in enumerate(args):
        _check_argument(_named(name, index), value)
    size = packed_size(args) + HEAD_REST
    if size > limits.MAX_HEAD:
        raise BoundExceeded(bound="head", value=size, limit=limits.MAX_HEAD)
    if not isinstance(body, bytes):
        raise InvalidMessage(field="body", reason="must be bytes")
    if len(body) > limits.MAX_FRAME:
        raise BoundExceeded(bound="body", value=len(body), limit=limits.MAX_FRAME)


def _named(call: str, index: int) -> str:
    method = calls.METHODS.get(call)
    if method is None or index >= len(method.parameters):
        return f"{call}.{index}"
    return f"{call}.{method.parameters[index].name}"


def _check_argument(field: str, value: Any) -> None:
    if value is None or uint(value):
        return
    if type(value) is not str:
        raise InvalidMessage(
            field=field, reason="must be a text, an unsigned 64-bit integer or None"
        )
    if len(text(field, value).encode()) > limits.MAX_META:
        reason = f"must be a text of up to {limits.MAX_META} bytes"
        raise InvalidMessage(field=field, reason=reason)
