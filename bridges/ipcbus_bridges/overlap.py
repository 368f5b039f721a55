"""Rules of transit that lead in a circle, over all bridges that are known. PURE.

The brokers stop a message that comes where it was before. That is for what nobody can
foresee; rules that send mail round and round are a mistake in them, so they are found
before the first message, and exactly: there is one message at least, from and to
networks outside the circle, that a rule of each of its links carries on. Denies are not
looked at: what goes round must not rest on what is forbidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ipcbus_bridges.patterns import Glob, Topics, in_common, topic_in_common
from ipcbus_bridges.rule import MAX_HOPS, SENDABLE, Range, Rule
from ipcbus_bridges.rules import LinkRules

MAX_CIRCLES: Final = 20
"""That are told of at once; after those are mended the others are."""


class Circle(NamedTuple):
    """A way that mail would go round.

    Attributes:
        networks: in the order in which they are passed, each once.
        rules: of the link from each of them to the next one.
        to: an address to which such mail would go.
    """

    networks: tuple[str, ...]
    rules: tuple[Rule, ...]
    to: str

    def __str__(self) -> str:
        way = " -> ".join([*self.networks, self.networks[0]])
        rules = " and ".join(
            f"{rule.id} ({rule.source} -> {rule.destination})" for rule in self.rules
        )
        return (
            f"mail to {self.to} would go round {way} by the rules {rules}: "
            "narrow one of them, or take its transit away"
        )


def cycles(links: Sequence[tuple[str, str, LinkRules]]) -> list[str]:
    """A sentence for each circle of `(source, destination, rules)`; [] if none."""
    return [str(circle) for circle in circles(links)]


def circles(links: Sequence[tuple[str, str, LinkRules]]) -> list[Circle]:
    """Each circle of networks once, with the first rules that make it one."""
    onward: dict[str, list[Rule]] = {}
    for source, _, link in links:
        onward.setdefault(source.lower(), []).extend(
            rule for rule in link.allows if rule.options.transit
        )
    found: dict[tuple[str, ...], Circle] = {}
    for start in sorted(onward):
        for rules, mail in _ways(start, (), _Mail(), onward):
            networks = tuple(rule.source.lower() for rule in rules)
            if networks in found:
                continue
            to = _address(mail, rules[0], networks)
            if to is not None:
                names = tuple(rule.source for rule in rules)
                found[networks] = Circle(names, rules, to)
            if len(found) >= MAX_CIRCLES:
                return list(found.values())
    return list(found.values())


class _Mail(NamedTuple):
    """Messages that a row of rules carries on: what each rule demands of them."""

    names: tuple[Glob, ...] = ()
    networks: tuple[Glob, ...] = ()
    to_names: tuple[Glob, ...] = ()
    to_networks: tuple[Glob, ...] = ()
    topics: tuple[Topics, ...] = ()
    prefix: tuple[str, ...] = ()
    """What stands before their topics by now; `topics` are those they began with."""
    kinds: frozenset[str] = frozenset(SENDABLE)
    size: Range = Range()
    priority: Range = Range()

    def by(self, rule: Rule) -> _Mail | None:
        """Those that `rule` carries on too; None if there are none for sure."""
        when = rule.when
        made = self._replace(
            names=(*self.names, rule.sender.name),
            networks=(*self.networks, rule.sender.network),
            kinds=self.kinds & frozenset(when.kinds),
            size=self.size.meet(when.size),
            priority=self.priority.meet(when.priority),
        )
        if not made.kinds or made.size.empty or made.priority.empty:
            return None
        if rule.to is not None:
            if self.topics:
                return None
            return made._replace(
                to_names=(*self.to_names, rule.to.name),
                to_networks=(*self.to_networks, rule.to.network),
            )
        return None if self.to_names else made._on(rule)

    def _on(self, rule: Rule) -> _Mail | None:
        """The same for a rule of topics."""
        begun = rule.topics.below(self.prefix) if rule.topics is not None else None
        if begun is None:
            return None
        before = rule.options.prefix.split(".") if rule.options.prefix else []
        return self._replace(
            topics=(*self.topics, begun), prefix=(*before, *self.prefix)
        )


def _ways(
    start: str, rules: tuple[Rule, ...], mail: _Mail, onward: Mapping[str, list[Rule]]
) -> Iterator[tuple[tuple[Rule, ...], _Mail]]:
    """Rows of rules that lead back to `start`, and what could pass all of them.

    `start` is the first of its circle by name, so that each is found once.
    """
    here = rules[-1].destination.lower() if rules else start
    passed = {rule.source.lower() for rule in rules}
    for rule in onward.get(here, ()):
        there = rule.destination.lower()
        if there < start or (there in passed and there != start):
            continue
        on = mail.by(rule)
        if on is None or _address(on, None, (*passed, here)) is None:
            continue
        row = (*rules, rule)
        if there == start:
            yield row, on
        elif len(row) < MAX_HOPS:
            yield from _ways(start, row, on, onward)


def _address(mail: _Mail, first: Rule | None, passed: Iterable[str]) -> str | None:
    """Whom such mail goes to; None if there is no such mail.

    `first` is the rule that has to match again when the circle is closed.
    """
    networks = tuple(passed)
    sent = in_common(mail.names) and in_common(mail.networks, without=networks)
    if not sent:
        return None
    if mail.topics:
        again = first.topics.below(mail.prefix) if first and first.topics else None
        if first is not None and again is None:
            return None
        topic = topic_in_common([*mail.topics, *([again] if again else [])])
        return f"#{topic}" if topic else None
    name, network = in_common(mail.to_names), in_common(mail.to_networks, networks)
    return f"{name}@{network}" if name and network else None
