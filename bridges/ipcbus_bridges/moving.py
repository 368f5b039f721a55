"""From a delivery to what is handed over: facts for the rules, and the move. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus import links
from ipcbus_bridges import redact
from ipcbus_bridges.rule import MAX_TTL_MS, Rule
from ipcbus_bridges.rules import Decision, Facts, LinkRules, Terms, arriving_topic

GRANTED: Final = 8
TRANSIT: Final = 16
RECEIPTS: Final = 2 | 4
"""Flags of headers and moves (PROTOCOL.md)."""

MAX_HOPS: Final = 8

MOVE_BYTES: Final = 260
"""Bytes of a packed move without what has no fixed length."""

SHORT_META: Final = 64
MOST_DECIDED: Final = 1024
"""Decisions that are kept, and the longest meta (bytes) of mail for which one is."""

Stream = tuple[str, str, int]


class Item(NamedTuple):
    """A message on its way over a link.

    Attributes:
        head: bytes that its move takes in a frame, at most.
        fetch: its attachments are still to be brought over.
    """

    seq: int
    attempt: int
    stream: Stream
    rule: str
    move: links.Move
    body: bytes
    head: int
    fetch: bool


class Moving:
    """What a link knows of the messages that it moves.

    Attributes:
        rules_said: how its rules are told to others: file, short forms, revision.
        problem: why a reload failed; "" if it did not.
        broke: how often the link broke, when last, and by what; empty if it did not.
    """

    def __init__(self, rules_said: dict[str, Any] | None = None) -> None:
        self.rules_said = rules_said or {}
        self.problem = ""
        self.broke: dict[str, Any] = {}
        self._decided: dict[tuple[Any, ...], Decision] = {}
        self._decided_by: LinkRules | None = None

    def decide(self, rules: LinkRules, header: Any, body: bytes) -> Decision:
        """What the rules say; kept, for most mail looks the same to them."""
        meta, hops = header.meta, header.hops
        if meta is not None and len(meta) > SHORT_META:
            return rules.decide(facts_of(rules, header, len(body)))
        granted = header.flags & GRANTED
        key = (*header[1:5], len(body), meta, len(hops or ()), granted)
        if rules is not self._decided_by or len(self._decided) >= MOST_DECIDED:
            self._decided, self._decided_by = {}, rules
        found = self._decided.get(key)
        if found is None:
            found = rules.decide(facts_of(rules, header, len(body)))
            self._decided[key] = found
        return found

    def is_late(self, decision: Decision, header: Any, now: int) -> str:
        """Why a message waited too long for the rule that carries it; or nothing."""
        hold_ms = decision.options.hold_ms
        if hold_ms is None or now - header.accepted_at <= hold_ms:
            return ""
        return f"it waited longer than rule {decision.rule} of the bridge holds mail"

    def item(
        self,
        rules: LinkRules,
        seq: int,
        attempt: int,
        stream: Stream,
        header: Any,
        body: bytes,
        decision: Decision,
        now: int,
    ) -> Item:
        meta = header.meta
        if decision.options.redact is not None:
            body, meta = _redacted(decision.options.redact, body, meta)
        move = _move(rules, header, meta, decision, now)
        fetch = bool(header.attachments)
        return Item(seq, attempt, stream, decision.rule, move, body, _head(move), fetch)

    def terms(self, rules: LinkRules, terms: Terms) -> dict[str, Any]:
        """What the source must know of the link while no bridge is there."""
        return {
            "hold_ms": terms.hold_ms,
            "warn_ms": terms.warn_ms or terms.hold_ms,
            "messages": terms.messages,
            "bytes": terms.bytes,
            "topics": rules.topics(),
            "transit": _topics(r for r in rules.allows if r.options.transit),
            "routes": rules.routes(),
            "drops": _topics(
                r for r in rules.allows if r.options.overflow == "drop_oldest"
            ),
            "holds": _holds(rules, terms),
        }

    def facts(self, rules: LinkRules) -> dict[str, Any]:
        """More of a link's status."""
        return {
            "rules": {**self.rules_said, "revision": rules.revision},
            "problem": self.problem,
            "broke": self.broke,
        }


def _move(
    rules: LinkRules, header: Any, meta: bytes | None, decision: Decision, now: int
) -> links.Move:
    options, to = decision.options, header.to
    if options.prefix and to[:1] == "#":
        to = arriving_topic(to, options)
    ttl_ms = None
    if header.expires_at is not None:
        # Where a clock was put back, more may seem to be left than there can be.
        ttl_ms = min(MAX_TTL_MS, max(1, header.expires_at - now))
    flags = header.flags & (RECEIPTS | GRANTED)
    if options.transit:
        flags |= TRANSIT
    return links.Move(
        header.id,
        header.sender,
        to,
        header.kind,
        header.priority,
        ttl_ms,
        header.thread,
        header.reply_to,
        header.hops,
        header.attachments,
        meta,
        header.digest,
        flags,
        decision.rule,
        # An answer grants no answer, or two that answer everything would never rest.
        0 if header.flags & GRANTED else options.replies_max,
        options.replies_within_ms,
        MAX_HOPS if header.flags & GRANTED else rules.max_hops,
    )


def facts_of(rules: LinkRules, header: Any, size: int) -> Facts:
    """What the rules look at. `explain` makes the same from what it is told."""
    sender, to = header.sender, header.to
    labels: tuple[str, ...] = ()
    if header.meta is not None:
        labels = tuple(links.unpack_meta(header.meta).labels or ())
    return Facts(
        sender if "@" in sender else f"{sender}@{rules.source}",
        to,
        header.kind,
        header.priority,
        size,
        labels,
        len(header.hops or ()),
        bool(header.flags & GRANTED),
    )


def _holds(rules: LinkRules, terms: Terms) -> list[list[Any]]:
    """How long each allow holds what it carries, if not all as long as the link."""
    if all(rule.options.hold_ms is None for rule in rules.allows):
        return []
    return [
        [
            str(rule.sender),
            to,
            min(rule.options.hold_ms or terms.hold_ms, terms.hold_ms),
        ]
        for rule in rules.allows
        for to in (rule.to and str(rule.to), rule.topics and f"#{rule.topics}")
        if to
    ]


def _topics(rules: Iterable[Rule]) -> list[str]:
    return list(dict.fromkeys(str(rule.topics) for rule in rules if rule.topics))


def _redacted(
    wanted: redact.Redact, body: bytes, packed: bytes | None
) -> tuple[bytes, bytes | None]:
    meta = links.unpack_meta(packed)
    given = body, meta.data, meta.headers or {}
    made = redact.apply(wanted, *given)
    if made.changed and not _is_meta(_packed(meta, made)):
        made = redact.apply(wanted._replace(replacement=redact.SHORT), *given)
    return (made.body, _packed(meta, made)) if made.changed else (body, packed)


def _packed(meta: Any, made: redact.Redacted) -> bytes | None:
    return links.pack_meta(meta._replace(data=made.data, headers=made.headers or None))


def _is_meta(packed: bytes | None) -> bool:
    """Whether a broker takes it; or it would cut the link, again and again."""
    try:
        links.unpack_meta(packed)
    except ipcbus.errors.ProtocolError:
        return False
    return True


def _head(move: links.Move) -> int:
    size = MOVE_BYTES + len(move.id) + len(move.sender) + len(move.to)
    if move.meta is not None:
        size += len(move.meta)
    if move.attachments:
        size += sum(100 + 4 * len(a[2]) + 4 * len(a[3] or "") for a in move.attachments)
    if move.hops:
        size += sum(len(hop) + 2 for hop in move.hops)
    return size + len(move.thread or "") + len(move.reply_to or "")
