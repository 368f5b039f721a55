"""What a bridge carries: the one place where that is decided. PURE.

    1. mail to everyone (`*`)      never
    2. answers                     the source vouches for them: carried, unless a deny
                                   says `replies: true`
    3. any deny that matches       refused; their order is of no matter
    4. a way back                  refused: mail does not return to where it came from
    5. the first allow that        supplies the options; one without `transit` matches
       matches                     only mail of the source to the destination itself
    6. nothing                     refused
    7. hops, size, length of topic refused if over what the rule or the bridge allows

`ipcbus bridges explain` calls `LinkRules.decide` as the bridge does, with a list for
the steps that it took.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from ipcbus_bridges.patterns import ANY, Glob, Side, is_name, is_topic
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.redact import Redact
from ipcbus_bridges.rule import (
    MAX_HOPS,
    USUAL,
    Decision,
    Exposed,
    Facts,
    Options,
    Rule,
    Terms,
    When,
    short,
)
from ipcbus_bridges.shortform import parse_short

__all__ = [
    "ANSWERS",
    "DEFAULT",
    "MAX_HOPS",
    "Decision",
    "Exposed",
    "Facts",
    "LinkRules",
    "Options",
    "Rate",
    "Redact",
    "Rule",
    "Rules",
    "Terms",
    "arriving_topic",
    "parse_short",
]

ANSWERS: Final = "replies"
"""What stands for a rule where an answer is carried."""
DEFAULT: Final = "default"
"""The rule of a bridge that was given none."""

NOT_PERMITTED: Final = "5.7.1"
TOO_BIG: Final = "5.3.4"
LOOP: Final = "5.4.6"

_PAIRS: Final = 4096
"""Senders and recipients of which it is kept which rules concern them, about 2 MiB."""

_TERMS: Final = Terms()


class _Pair(NamedTuple):
    """What sender and recipient alone decide, which is most of it."""

    denies: tuple[Rule, ...]
    allows: tuple[Rule, ...]
    far: bool
    """One of them is of neither network, as far as the names tell."""
    back: bool
    """It would return to where it came from."""


class LinkRules:
    """The rules of one direction.

    Attributes:
        revision: changes when they do: 12 hex digits.
    """

    def __init__(
        self, source: str, destination: str, rules: Iterable[Rule], max_hops: int = 1
    ) -> None:
        self.source: Final = source
        self.destination: Final = destination
        self.max_hops: Final = max_hops
        self.rules: Final = tuple(rules)
        self.denies: Final = tuple(rule for rule in self.rules if not rule.allow)
        self.allows: Final = tuple(rule for rule in self.rules if rule.allow)
        self.revision: Final = _digest(self.rules, source, destination, max_hops)
        self._overriding = tuple(rule for rule in self.denies if rule.replies)
        self._pairs: dict[tuple[str, str], _Pair] = {}

    def decide(self, facts: Facts, steps: list[str] | None = None) -> Decision:
        """What becomes of a message. `steps` gets a line for each thing looked at."""
        if facts.to == "*":
            if steps is not None:
                steps.append("everyone: never carried")
            return self._refused(facts, "", NOT_PERMITTED, "it is for everyone")
        pair = self._pair(facts.sender, facts.to)
        if facts.granted:
            return self._answer(facts, pair, steps)
        deny = self._first(self.denies, pair.denies, facts, steps)
        if deny is not None:
            return self._denied(facts, deny)
        if steps is not None:
            steps.append(f"way back: {'yes' if pair.back else 'no'}")
        if pair.back:
            return self._refused(facts, "", LOOP, "it would go back where it came from")
        far = pair.far or facts.hops > 0
        if steps is not None:
            steps.append(f"transit: {'only rules with it count' if far else 'no need'}")
        allow = self._first(self.allows, pair.allows, facts, steps, far=far)
        if allow is not None:
            return self._bounded(facts, allow, steps)
        if far:
            reason = "mail from or to a farther network needs a rule with transit"
            return self._refused(facts, "", LOOP, reason)
        return self._refused(facts, "", NOT_PERMITTED, "no rule of it does")

    def topics(self) -> list[str]:
        """Patterns to join at the source, without `#`; none lies within another."""
        wanted = list(dict.fromkeys(rule.topics for rule in self.allows if rule.topics))
        return [
            str(one)
            for at, one in enumerate(wanted)
            if not any(
                other.covers(one)
                and (wanted.index(other) < at or not one.covers(other))
                for other in wanted
                if other != one
            )
        ]

    def routes(self) -> list[str]:
        """Farther networks that are reached by this link, as far as rules name them."""
        ends = {self.source.lower(), self.destination.lower()}
        return list(
            dict.fromkeys(
                rule.to.network.text
                for rule in self.allows
                if rule.options.transit and rule.to and rule.to.network.literal
                if rule.to.network.text not in ends
            )
        )

    def exposed(self) -> list[Exposed]:
        """Who may be shown in the source, and to whom."""
        denies = [
            (str(rule.sender), str(rule.to))
            for rule in self.denies
            if rule.to is not None and rule.when == When()
        ]
        return [
            Exposed(str(rule.sender), str(rule.to), list(denies))
            for rule in self.allows
            if rule.options.expose and rule.to is not None
        ]

    def says(self) -> list[str]:
        """What it will carry and what not, one sentence a line."""
        way = f"{self.source} -> {self.destination}"
        lines = [
            f"{way}: {rule.id}: {'carries' if rule.allow else 'refuses'} "
            f"{short(rule, self.source)}{', redacted' if rule.options.redact else ''}"
            for rule in (*self.denies, *self.allows)
        ]
        answers = "answers to what was delivered pass"
        if self._overriding:
            answers += ", but for denies with replies"
        never = ["no mail to everyone (*)"]
        if not self.topics():
            never.append("no topics")
        if not any("control" in rule.when.kinds for rule in self.allows):
            never.append("no control messages")
        return [*lines, f"{way}: {answers}; nothing else does: {', '.join(never)}"]

    def _pair(self, sender: str, to: str) -> _Pair:
        pair = self._pairs.get((sender, to))
        if pair is None:
            if len(self._pairs) >= _PAIRS:
                self._pairs.clear()
            pair = self._pairs[sender, to] = self._paired(sender, to)
        return pair

    def _paired(self, sender: str, to: str) -> _Pair:
        who, whom, topic = _parties(sender, to)
        near = [rule for rule in self.rules if not _side_missed(rule, who, whom, topic)]
        source, destination = self.source.lower(), self.destination.lower()
        of = who[1] if who else source
        for_ = whom[1] if whom else destination
        return _Pair(
            tuple(rule for rule in near if not rule.allow),
            tuple(rule for rule in near if rule.allow),
            far=of != source or for_ != destination,
            back=of == destination or for_ == source,
        )

    def _first(
        self,
        rules: tuple[Rule, ...],
        near: tuple[Rule, ...],
        facts: Facts,
        steps: list[str] | None,
        far: bool = False,
    ) -> Rule | None:
        """The first of `rules` that matches; `near` are those whose sides do."""
        if steps is None:
            return next((rule for rule in near if not _missed(rule, facts, far)), None)
        for rule in rules:
            missed = _side_missed(rule, *_parties(facts.sender, facts.to))
            missed = missed or _missed(rule, facts, far)
            said = f"does not match ({missed})" if missed else "matches"
            steps.append(f"{'allow' if rule.allow else 'deny'} {rule.id}: {said}")
            if not missed:
                return rule
        return None

    def _answer(self, facts: Facts, pair: _Pair, steps: list[str] | None) -> Decision:
        if facts.kind != "bounce":  # every message ends well or its sender hears of it
            near = tuple(rule for rule in pair.denies if rule.replies)
            deny = self._first(self._overriding, near, facts, steps)
            if deny is not None:
                return self._denied(facts, deny)
        if steps is not None:
            steps.append(f"{self.source} vouches for it: carried")
        return Decision(True, ANSWERS, "", "", Options())

    def _bounded(self, facts: Facts, rule: Rule, steps: list[str] | None) -> Decision:
        options, carried = rule.options, facts.hops + 1
        if steps is not None:
            steps.append(f"hops: {carried} of {self.max_hops} at most")
            steps.append(f"size: {facts.size} of {options.max_bytes} bytes at most")
        if carried > self.max_hops:
            reason = f"this would be hop {carried}, and {self.max_hops} is the last"
            return self._refused(facts, rule.id, LOOP, reason)
        if facts.size > options.max_bytes:
            reason = (
                f"its body has {facts.size} bytes, {options.max_bytes} at most pass"
            )
            return self._refused(facts, rule.id, TOO_BIG, reason)
        if options.prefix and not is_topic(arriving_topic(facts.to, options)[1:]):
            reason = f"with {options.prefix!r} before it the topic would be too long"
            return self._refused(facts, rule.id, TOO_BIG, reason)
        return Decision(True, rule.id, "", "", options)

    def _denied(self, facts: Facts, rule: Rule) -> Decision:
        reason = f"rule {rule.id} of the bridge forbids it"
        return self._refused(facts, rule.id, NOT_PERMITTED, reason)

    def _refused(self, facts: Facts, rule: str, status: str, reason: str) -> Decision:
        return Decision(
            False,
            rule,
            status,
            f"the bridge does not carry this {facts.kind} of {facts.sender} to "
            f"{facts.to} from {self.source} to {self.destination}: {reason}",
            Options(),
        )


class Rules:
    """The rules of one bridge, both directions."""

    def __init__(
        self, a: str, b: str, rules: Sequence[Rule], terms: Terms = _TERMS
    ) -> None:
        self.a: Final = a
        self.b: Final = b
        self.rules: Final = tuple(rules)
        self.terms: Final = terms
        self.revision: Final = _digest(self.rules, a, b, terms)
        self._links = {
            (source.lower(), destination.lower()): LinkRules(
                source,
                destination,
                [rule for rule in rules if rule.source.lower() == source.lower()],
                terms.max_hops,
            )
            for source, destination in ((a, b), (b, a))
        }

    @classmethod
    def default(cls, a: str, b: str, denies: Sequence[Rule] = ()) -> Rules:
        """No rules given: agents of each may write to agents of the other."""
        return cls(a, b, [*denies, default_allow(a, b), default_allow(b, a)])

    def link(self, source: str, destination: str) -> LinkRules:
        """Those of one direction. Raises `KeyError` if it is none of this bridge."""
        return self._links[source.lower(), destination.lower()]


def default_allow(source: str, destination: str) -> Rule:
    """What a bridge carries in one direction that was given no rules."""
    sender, to = Side(ANY, Glob(source)), Side(ANY, Glob(destination))
    return Rule(DEFAULT, True, source, destination, sender, to, None, When(USUAL))


def arriving_topic(to: str, options: Options) -> str:
    """`to`, a topic with its `#`, as it is called where it arrives."""
    return f"#{options.prefix}.{to[1:]}" if options.prefix else to


_Agent: TypeAlias = tuple[str, str]


def _parties(sender: str, to: str) -> tuple[_Agent | None, _Agent | None, str | None]:
    """Who sends, and the agent or the topic it is for; None for what is neither."""
    topic = to[1:] if to[:1] == "#" and is_topic(to[1:]) else None
    return _agent(sender), _agent(to), topic


def _agent(text: str) -> _Agent | None:
    """Name and network of an agent, folded; None if that is what it is not."""
    name, _, network = text.partition("@")
    if is_name(name) and is_name(network):
        return name.lower(), network.lower()
    return None


def _side_missed(
    rule: Rule, who: _Agent | None, whom: _Agent | None, topic: str | None
) -> str:
    """Which side of `rule` they are not on; empty if they are on both."""
    if who is None or not rule.sender.matches(*who):
        return "from"
    if whom is not None:
        fits = rule.to is not None and rule.to.matches(*whom)
    else:
        topics = rule.topics
        fits = topic is not None and topics is not None and topics.matches(topic)
    return "" if fits else "to"


def _missed(rule: Rule, facts: Facts, far: bool) -> str:
    """Why `rule` does not match, beside its sides; empty if it does."""
    missed = rule.when.missed(facts)
    return missed or ("transit" if far and not rule.options.transit else "")


def _digest(rules: Iterable[Rule], *more: object) -> str:
    """12 hex digits that are the same for the same rules, wherever they stand."""
    said = [[rule._replace(line=0) for rule in rules], *more]
    return sha256(repr(said).encode()).hexdigest()[:12]
