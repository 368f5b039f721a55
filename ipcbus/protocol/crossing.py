"""Reading what bridges say: moves, and what became of messages. PURE."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ipcbus.protocol import limits
from ipcbus.protocol.address import is_ref
from ipcbus.protocol.fields import (
    is_attachments,
    is_hops,
    is_rows,
    is_runs,
    need,
    text,
    uint,
)
from ipcbus.protocol.messages import BOUNCE, OUTCOMES, SENDABLE_KINDS, Move
from ipcbus.protocol.pieces import DIGEST, check_meta

KINDS = SENDABLE_KINDS | {BOUNCE}

SHORT_META = 64
"""Bytes of a meta up to which it is remembered that it was right."""


def read_move(raw: Any) -> Move:
    """A message that is handed over; checked as drafts are, on the same hot path.

    Raises `RemoteProtocolError`.
    """
    need(type(raw) is list and len(raw) == 17, "a move is not an array of 17")
    move: Move = tuple.__new__(Move, raw)
    id_, sender, to, kind, priority, ttl_ms, thread, reply_to, hops = raw[:9]
    attached, meta, digest, flags, rule, replies, replies_ms, max_hops = raw[9:]
    need(
        type(id_) is str
        and is_ref(id_)
        and type(sender) is str
        and len(sender) <= limits.MAX_REF
        and type(to) is str
        and len(to) <= limits.MAX_TO
        and type(kind) is str
        and kind in KINDS
        and type(priority) is int
        and 0 <= priority < limits.PRIORITIES
        and type(flags) is int
        and 0 <= flags < 128
        and type(rule) is str
        and len(rule) <= limits.MAX_NAME + 8,
        "a move has a wrong id, from, to, kind, priority, flags or rule",
    )
    if ttl_ms is not None:
        need(uint(ttl_ms, limits.MAX_TTL_MS), "a move has a wrong ttl_ms")
    need(
        (thread is None or _is_id(thread)) and (reply_to is None or _is_id(reply_to)),
        "a move has a wrong thread or reply_to",
    )
    need(
        (hops is None or is_hops(hops))
        and type(digest) is bytes
        and len(digest) == DIGEST
        and type(replies) is int
        and 0 <= replies <= limits.MAX_REPLIES
        and uint(replies_ms, limits.MAX_TTL_MS)
        and type(max_hops) is int
        and 0 <= max_hops <= limits.MAX_HOPS,
        "a move has wrong hops, digest, replies or max_hops",
    )
    if attached is not None:
        need(is_attachments(attached), "wrong attachments")
    if meta is not None:
        short = type(meta) is bytes and len(meta) <= SHORT_META
        (_check_short if short else check_meta)(meta)
    return move


@lru_cache(maxsize=1024)
def _check_short(meta: bytes) -> None:
    """Most messages have one of very few."""
    check_meta(meta)


def _is_id(value: object) -> bool:
    return type(value) is str and is_ref(value)


def read_groups(raw: Any) -> list[list[Any]]:
    """What became of messages. Raises `RemoteProtocolError`."""
    need(is_rows(raw, 6) and len(raw) <= limits.MAX_BATCH, "RETURN has no groups of 6")
    left = limits.MAX_CREDIT
    for outcome, rule, status, reason, delay_ms, runs in raw:
        need(
            type(outcome) is str
            and outcome in OUTCOMES
            and text(rule, limits.MAX_NAME + 8)
            and text(status, 16)
            and text(reason, limits.MAX_TEXT)
            and uint(delay_ms, limits.MAX_TTL_MS)
            and is_runs(runs),
            "a group of RETURN has a wrong field",
        )
        left -= sum(runs[1::3])
        need(left >= 0, "RETURN names too many deliveries")
    groups: list[list[Any]] = raw
    return groups
