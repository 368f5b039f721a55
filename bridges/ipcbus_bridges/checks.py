"""What is wrong with rules that are each well written. PURE.

Ids that are there twice, networks that nobody knows, rules that can never be reached,
and rules of transit that lead in a circle: all that is found before a bridge starts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from ipcbus_bridges.overlap import circles
from ipcbus_bridges.patterns import Glob, Side
from ipcbus_bridges.places import Place
from ipcbus_bridges.rule import Rule
from ipcbus_bridges.rules import ANSWERS, DEFAULT, LinkRules, Rules

MOST_TOPICS: Final = 100
MOST_ROUTES: Final = 32
MOST_HOLDS: Final = 200
"""What a broker takes of one link (a test compares them): it keeps these, and looks at
them for every message. It refuses a bridge that asks for more."""


class Placed(NamedTuple):
    """A rule and where it was written."""

    rule: Rule
    place: Place


def check(
    a: str, b: str, placed: Sequence[Placed], known: Collection[str] | None
) -> None:
    """Raises `ConfigError` for the first of `placed` that cannot stand."""
    transit = any(one.rule.options.transit for one in placed)
    seen: dict[str, Placed] = {}
    for one in placed:
        _own_id(one, seen)
        for side in (one.rule.sender, one.rule.to):
            if side is not None:
                _known_network(one, side, a, b, known, transit)
        if one.rule.allow:
            _between(one)
    for source in (a, b):
        _reachable([one for one in placed if one.rule.source == source])


def check_circles(rules: Rules, placed: Sequence[Placed]) -> None:
    """Raises `ConfigError` if rules of transit of this bridge lead in a circle."""
    ways = ((rules.a, rules.b), (rules.b, rules.a))
    for circle in circles([(*way, rules.link(*way)) for way in ways]):
        last = max(circle.rules, key=lambda rule: rule.line)
        place = next(one.place for one in placed if one.rule == last)
        raise place.wrong(str(circle))


def check_bounds(rules: Rules, placed: Sequence[Placed]) -> None:
    """Raises `ConfigError` if a broker would refuse the link for what rules ask for."""
    for way in ((rules.a, rules.b), (rules.b, rules.a)):
        link = rules.link(*way)
        for rule, said in _too_many(link):
            place = next(one.place for one in placed if one.rule == rule)
            raise place.wrong(f"{said} for the link from {way[0]} to {way[1]}")


def _too_many(link: LinkRules) -> Iterator[tuple[Rule, str]]:
    """The first rule that is over a bound, and what is wrong with it."""
    for topic in link.topics()[MOST_TOPICS:]:
        rule = next(r for r in link.allows if r.topics and str(r.topics) == topic)
        yield rule, f"is one pattern of topics more than the {MOST_TOPICS} there may be"
    for route in link.routes()[MOST_ROUTES:]:
        rule = next(r for r in link.allows if r.to and r.to.network.text == route)
        yield rule, f"is one farther network more than the {MOST_ROUTES} there may be"
    if any(rule.options.hold_ms is not None for rule in link.allows):
        for rule in link.allows[MOST_HOLDS:]:
            yield (
                rule,
                f"is one more than the {MOST_HOLDS} allows that there may be if any of "
                "them has a hold_for of its own: leave that out, or join some rules",
            )


def _own_id(one: Placed, seen: dict[str, Placed]) -> None:
    id_ = one.rule.id.removesuffix(".fwd").removesuffix(".rev")
    if id_.lower() in (ANSWERS, DEFAULT):
        raise one.place.wrong(f"the id {id_} has a meaning of its own; take another")
    first = seen.setdefault(id_.lower(), one)
    if first.place is not one.place:  # one that is written once may be of both ways
        line = f"line {first.place.line}" if first.place.line else first.place.file
        raise one.place.wrong(f"the id {id_} is there twice (first in {line})")


def _known_network(
    one: Placed,
    side: Side,
    a: str,
    b: str,
    known: Collection[str] | None,
    transit: bool,
) -> None:
    network = side.network
    if any(network.matches(name.lower()) for name in (a, b)):
        return
    near = f"this bridge is between {a} and {b}"
    if not (one.rule.options.transit or (transit and not one.rule.allow)):
        raise one.place.wrong(
            f"there is no network {network} here: {near}; mail of farther networks "
            "needs an allow with transit: true"
        )
    if known is not None and not any(network.matches(name.lower()) for name in known):
        raise one.place.wrong(
            f"there is no network {network}: {near}, and known beyond it are: "
            f"{', '.join(sorted(known)) or 'none'}"
        )


def _between(one: Placed) -> None:
    """Without transit an allow is of the source and for the destination itself."""
    rule = one.rule
    if rule.options.transit:
        return
    sides = [(rule.sender, rule.source, "from")]
    if rule.to is not None:
        sides.append((rule.to, rule.destination, "to"))
    for side, name, word in sides:
        if not _names(side.network, name):
            raise one.place.wrong(
                f"{side} is not {word} {name}, and this goes from {rule.source} to "
                f"{rule.destination}; mail of farther networks needs transit: true"
            )


def _names(network: Glob, name: str) -> bool:
    return network.matches(name.lower())


def _reachable(placed: Sequence[Placed]) -> None:
    """No allow lies wholly within a deny or an allow before it."""
    denies = [one.rule for one in placed if not one.rule.allow]
    before: list[Rule] = []
    for one in placed:
        if not one.rule.allow:
            continue
        for other in _covering(one.rule, denies, before):
            does = "carries" if other.allow else "refuses"
            raise one.place.wrong(
                f"can never be reached: rule {other.id} {does} all that it matches; "
                + (
                    "write it before that one"
                    if other.allow
                    else "take one of them out"
                )
            )
        before.append(one.rule)


def _covering(
    rule: Rule, denies: Sequence[Rule], before: Sequence[Rule]
) -> Iterator[Rule]:
    return (other for other in (*denies, *before) if other.covers(rule))
