"""Tests of single decoded values: each takes anything and answers yes or no.

`need` is the one that raises; the decoders are sentences made of it.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits

_INT = {int}
_HEX_64 = re.compile(r"[0-9a-f]{64}\Z")


def need(condition: bool, reason: str) -> None:
    if not condition:
        raise RemoteProtocolError(reason=reason)


def shape(f: list[Any], body: bytes, length: int, *, extra: bool = False) -> None:
    """A newer peer may append fields (`extra`); what we know must be there."""
    need(
        (len(f) == length or (extra and len(f) > length)) and not body,
        f"verb {f[0]} has {len(f)} fields and {len(body)} bytes of body",
    )


def uint(value: object, most: int = limits.MAX_UINT) -> bool:
    return type(value) is int and 0 <= value <= most


def text(value: object, most: int) -> bool:
    return type(value) is str and len(value) <= most


def opt_text(value: object, most: int) -> bool:
    return value is None or text(value, most)


def is_uints(value: object, most: int = limits.MAX_UINT) -> bool:
    """Whether it is a list of them: columns are long, so looked at as a whole."""
    return type(value) is list and (
        not value
        or (set(map(type, value)) == _INT and min(value) >= 0 and max(value) <= most)
    )


def is_runs(value: object) -> bool:
    """Runs whose counts add up to no more than a session can hold."""
    return (
        type(value) is list
        and len(value) % 3 == 0
        and is_uints(value)
        and sum(value[1::3]) <= limits.MAX_CREDIT
    )


def is_rows(value: object, width: int) -> bool:
    return type(value) is list and all(
        type(row) is list and len(row) == width for row in value
    )


def is_nack(row: list[Any]) -> bool:
    seq, attempt, delay_ms, reason = row
    return (
        uint(seq)
        and uint(attempt)
        and uint(delay_ms, limits.MAX_TTL_MS)
        and opt_text(reason, limits.MAX_TEXT)
    )


def is_lease(value: object) -> bool:
    return type(value) is int and limits.MIN_LEASE_MS <= value <= limits.MAX_LEASE_MS


def is_labels(value: object) -> bool:
    return value is None or (
        type(value) is list
        and len(value) <= limits.MAX_LABELS
        and all(text(label, 64) for label in value)
    )


def is_headers(value: object) -> bool:
    return value is None or (
        type(value) is dict
        and len(value) <= limits.MAX_HEADERS
        and all(text(key, 64) and text(item, 1024) for key, item in value.items())
    )


def is_hops(value: object) -> bool:
    return type(value) is list and all(text(hop, limits.MAX_HOP) for hop in value)


def is_facts(value: object) -> bool:
    """Facts of an error become keywords, so their names must be text."""
    return type(value) is dict and is_plain(value)


def is_sha256(value: object) -> bool:
    return type(value) is str and _HEX_64.match(value) is not None


def is_key(value: object) -> bool:
    """Whether `value` is a public CURVE key in hex."""
    return is_sha256(value)


def is_attachments(value: object) -> bool:
    return (
        type(value) is list
        and len(value) <= limits.MAX_ATTACHMENTS
        and is_rows(value, 4)
        and all(
            is_sha256(sha)
            and uint(size, limits.MAX_ATTACHMENT)
            and text(name, 255)
            and opt_text(content_type, 128)
            for sha, size, name, content_type in value
        )
    )


def is_plain(value: object, depth: int = limits.MAX_DEPTH) -> bool:
    """Whether `value` is what JSON can say, within `depth` levels and 64-bit ints."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    if isinstance(value, float):
        return math.isfinite(value)
    if depth == 0 or not isinstance(value, list | dict):
        return False
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                return False
        value = list(value.values())
    for item in value:  # noqa: SIM110 - all() of a generator costs twice as much
        if not is_plain(item, depth - 1):
            return False
    return True
