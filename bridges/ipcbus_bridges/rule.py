"""A rule, what it looks at, and what it says. PURE.

A rule is of one direction: what was written for both becomes two of them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import ipcbus
from ipcbus_bridges.patterns import EVERYBODY, Side, Topics
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.redact import Redact

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MAX_BODY: Final = 1024 * 1024
MAX_HOPS: Final = 8
MAX_HOLD_MS: Final = 7 * DAY
MAX_TTL_MS: Final = 365 * DAY
MAX_REPLIES: Final = 1000
PRIORITIES: Final = 10
SENDABLE: Final = ("inform", "request", "reply", "ack", "control")
"""Of the protocol; a test compares them."""

USUAL: Final = ("inform", "request", "reply", "ack")
"""The kinds that an allow carries if it does not say which."""

UNITS: Final = {"s": SECOND, "min": MINUTE, "h": HOUR, "day": DAY}
"""What a rate is counted in."""

Overflow: TypeAlias = Literal["refuse", "drop_oldest"]


class Facts(NamedTuple):
    """What rules look at; all addresses in full.

    Attributes:
        sender: "alice@dev".
        to: "bob@prod" or "#deploy.web".
        size: bytes of the body.
        hops: networks that it passed before the source; 0 if it is of the source.
        granted: the source vouches for it: it answers what was delivered, or it is
            a bounce or a receipt.
    """

    sender: str
    to: str
    kind: str
    priority: int
    size: int
    labels: tuple[str, ...]
    hops: int
    granted: bool


class Options(NamedTuple):
    """What an allow supplies.

    Attributes:
        replies_max: how often the receiver may answer what it got, within
            `replies_within_ms`.
        transit: it also carries what came from, or goes to, a farther network.
        prefix: stands before topics when they arrive.
        hold_ms: how long the source keeps what waits; None: as the bridge says.
        overflow: what becomes of a message of a topic for which there is no room.
        expose: who may be written to is listed in the source.
    """

    replies_max: int = 10
    replies_within_ms: int = 7 * DAY
    max_bytes: int = MAX_BODY
    transit: bool = False
    prefix: str = ""
    redact: Redact | None = None
    rate: Rate | None = None
    hold_ms: int | None = None
    overflow: Overflow = "refuse"
    expose: bool = False


class Range(NamedTuple):
    """From `low` to `high`, both included; None where it is open."""

    low: int | None = None
    high: int | None = None

    def holds(self, value: int) -> bool:
        low, high = self
        return (low is None or low <= value) and (high is None or value <= high)

    def covers(self, other: Range) -> bool:
        return self.meet(other) == other

    def meet(self, other: Range) -> Range:
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Range(max(lows, default=None), min(highs, default=None))

    @property
    def empty(self) -> bool:
        low, high = self
        return low is not None and high is not None and low > high


class When(NamedTuple):
    """The conditions of a rule, beside who and to whom; all must hold.

    Attributes:
        kinds: any of them; none for all that there are.
        labels: any of them, word for word; none for no matter which.
    """

    kinds: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    size: Range = Range()
    priority: Range = Range()

    def missed(self, facts: Facts) -> str:
        """The first condition that does not hold; empty if all do."""
        if self.kinds and facts.kind not in self.kinds:
            return "kinds"
        if self.labels and not any(label in self.labels for label in facts.labels):
            return "labels"
        if not self.size.holds(facts.size):
            return "size"
        return "" if self.priority.holds(facts.priority) else "priority"

    def covers(self, other: When) -> bool:
        """Whether these hold wherever those of `other` do."""
        return (
            (not self.kinds or (bool(other.kinds) and {*other.kinds} <= {*self.kinds}))
            and (
                not self.labels
                or (bool(other.labels) and {*other.labels} <= {*self.labels})
            )
            and self.size.covers(other.size)
            and self.priority.covers(other.priority)
        )


class Rule(NamedTuple):
    """One rule of one direction.

    Attributes:
        sender: who sends.
        to: the agents it goes to; None if it goes to topics alone.
        topics: the topics it goes to; None if it goes to agents alone.
        replies: a deny that also wins over answers.
        line: where it stands in its file; 0 if in none.
    """

    id: str
    allow: bool
    source: str
    destination: str
    sender: Side
    to: Side | None
    topics: Topics | None
    when: When = When()
    options: Options = Options()
    replies: bool = False
    line: int = 0

    @property
    def target(self) -> str:
        """Whom it goes to, as it is written."""
        if self.to is not None and self.topics is not None:
            return "*"
        return f"#{self.topics}" if self.to is None else str(self.to)

    def covers(self, other: Rule) -> bool:
        """Whether it matches whatever `other` matches."""
        return (
            self.sender.covers(other.sender)
            and (other.to is None or (self.to is not None and self.to.covers(other.to)))
            and (
                other.topics is None
                or (self.topics is not None and self.topics.covers(other.topics))
            )
            and self.when.covers(other.when)
            and (not self.allow or self.options.transit or not other.options.transit)
        )


class Decision(NamedTuple):
    """What becomes of a message.

    Attributes:
        rule: what decided; "replies" for answers, "" where nothing matched.
        status: "" if it is carried, else as in mail.
        reason: one sentence for the sender; it tells of no other rule.
    """

    carry: bool
    rule: str
    status: str
    reason: str
    options: Options


class Exposed(NamedTuple):
    """Who may be shown in the source to whom: patterns of `name@network`.

    Attributes:
        denies: what is refused whatever the message, `(sender, to)`.
    """

    sender: str
    to: str
    denies: list[tuple[str, str]]


class Terms(NamedTuple):
    """What holds for all that waits.

    Attributes:
        hold_ms: how long the source keeps it.
        warn_ms: after how long its sender is told; 0 for never.
        max_hops: networks that a message may cross in all.
        messages, bytes: how much may wait for one link.
    """

    hold_ms: int = DAY
    warn_ms: int = 15 * MINUTE
    max_hops: int = 1
    messages: int = 50_000
    bytes: int = 256 * 1024 * 1024


def short(rule: Rule, first: str) -> str:
    """The short form of `rule`; `first` is the first network of its bridge.

    All but what it redacts, for which there is none.
    """
    sender = "*" if rule.sender == EVERYBODY and not rule.allow else str(rule.sender)
    if rule.source.lower() == first.lower():
        ends = f"{sender} -> {rule.target}"
    else:
        ends = f"{rule.target} <- {sender}"
    return " ".join([ends, *_words(rule)])


def _words(rule: Rule) -> list[str]:
    """All that is not as usual."""
    when, options = rule.when, rule.options
    said = {
        "kinds": ",".join(when.kinds if when.kinds != rule_kinds(rule.allow) else ()),
        "labels": ",".join(when.labels),
        "size": _range(when.size, size=True),
        "priority": _range(when.priority),
        **_options(options),
    }
    flags = {
        "transit": options.transit,
        "expose": options.expose,
        "replies": rule.replies,
    }
    words = [f"{key}={value}" for key, value in said.items() if value]
    return words + [key for key, given in flags.items() if given]


def _options(options: Options) -> dict[str, str]:
    usual, said = Options(), {"prefix": options.prefix}
    show = ipcbus.units.show_duration
    replies = (options.replies_max, options.replies_within_ms)
    if replies != (usual.replies_max, usual.replies_within_ms):
        said["replies"] = f"{options.replies_max}/{show(options.replies_within_ms)}"
    if options.max_bytes != usual.max_bytes:
        said["max_bytes"] = ipcbus.units.show_size(options.max_bytes)
    if options.hold_ms is not None:
        said["hold_for"] = show(options.hold_ms)
    if options.overflow != usual.overflow:
        said["overflow"] = options.overflow
    if options.rate is not None:
        said["rate"] = show_rate(options.rate)
        said["per"] = options.rate.by if options.rate.by != "rule" else ""
        said["exceed"] = "" if options.rate.exceed == "defer" else "refuse"
    return said


def rule_kinds(allow: bool) -> tuple[str, ...]:
    """The kinds of a rule that does not say which."""
    return USUAL if allow else ()


def show_rate(rate: Rate) -> str:
    """As it is written: "10/min"."""
    unit = next(name for name, ms in UNITS.items() if ms == rate.per_ms)
    return f"{rate.messages}/{unit}"


def _range(given: Range, *, size: bool = False) -> str:
    if given == Range():
        return ""
    if given.low == given.high and not size:
        return str(given.low)
    show = ipcbus.units.show_size if size else str
    low, high = ("" if end is None else show(end) for end in given)
    return f"{low}..{high}"
