"""The short form of rules: `planner@dev -> reviewer@prod kinds=request`. PURE.

    rule  = side SP arrow SP side *( SP word )
    arrow = "->" / "<-" / "<->"
    side  = glob [ "@" glob ] / "#" pattern      a topic only where an arrow points to
    word  = key "=" value / "transit" / "expose" / "replies"

A side without a network is of the network on its side of the arrow. Which way that is
follows from the networks that are named; where none is, an arrow points from the first
network of the bridge to the second. In a deny `*` alone is all there is: agents of any
network, and as a target also topics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ipcbus_bridges import values
from ipcbus_bridges.patterns import (
    ALL_TOPICS,
    EVERYBODY,
    Glob,
    Side,
    Topics,
    in_common,
)
from ipcbus_bridges.places import Place, Wrong, unknown
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.rule import Options, Rule, When, rule_kinds

COMMAND_LINE: Final = "the command line"

CONDITIONS: Final = ("kinds", "labels", "size", "priority")
OPTIONS: Final = (
    *("replies", "max_bytes", "rate", "transit", "prefix", "redact"),
    *("hold_for", "overflow", "expose"),
)
"""Keys of an allow, beside the conditions; a deny has of these only `replies`."""

_ARROW: Final = re.compile(r"\s*(\S+)\s+(->|<-|<->)\s+(\S+)(?:\s+(\S.*))?\Z", re.DOTALL)
_WORDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "kinds": lambda text: values.kinds(text.split(",")),
    "labels": lambda text: values.labels(text.split(",")),
    "size": values.size_range,
    "priority": values.priorities,
    "replies": values.replies,
    "max_bytes": values.max_bytes,
    "rate": values.rate,
    "per": values.per,
    "exceed": values.exceeding,
    "prefix": values.prefix,
    "hold_for": values.hold_ms,
    "overflow": values.overflow,
    "transit": values.flag,
    "expose": values.flag,
}


class Ends(NamedTuple):
    """Who and to whom, in one direction; `suffix` is what its rule's id ends in."""

    source: str
    destination: str
    sender: Side
    to: Side | None
    topics: Topics | None
    suffix: str = ""


def parse_short(
    text: str,
    *,
    allow: bool,
    id: str,  # noqa: A002
    a: str,
    b: str,
) -> list[Rule]:
    """What `text` spells on the bridge of `a` and `b`. Raises `ConfigError`.

    Two rules for `<->`, whose ids end in `.fwd` and `.rev`.
    """
    place = Place(COMMAND_LINE, f"--{'allow' if allow else 'deny'} {text!r}")
    try:
        found, words = split(text)
        given = _given(words.split(), allow)
        return make(id, allow, found.between(a, b, allow=allow), given)
    except ValueError as error:
        raise place.wrong(str(error)) from error


class Sides(NamedTuple):
    """What stands around an arrow."""

    left: str
    arrow: str
    right: str

    def between(self, a: str, b: str, *, allow: bool) -> list[Ends]:
        """The directions that are meant. Raises `ValueError`."""
        left, arrow, right = self
        if arrow == "<->":
            if "#" in (left[:1], right[:1]):
                raise ValueError("a topic cannot answer: write -> instead of <->")
            first = ends(left, right, a, b, allow=allow)
            back = ends(right, left, first.destination, first.source, allow=allow)
            return [first._replace(suffix=".fwd"), back._replace(suffix=".rev")]
        if arrow == "<-":
            return [ends(right, left, b, a, allow=allow)]
        return [ends(left, right, a, b, allow=allow)]


def split(text: str) -> tuple[Sides, str]:
    """The sides of a rule, and what stands behind them. Raises `ValueError`."""
    match = _ARROW.match(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no rule: write it as planner@dev -> reviewer@prod, with "
            "-> or <- or <-> between spaces"
        )
    left, arrow, right, words = match.groups()
    return Sides(left, arrow, right), words or ""


def ends(sender: str, to: str, a: str, b: str, *, allow: bool) -> Ends:
    """What is meant by two sides, from `a` to `b` unless their networks tell."""
    return all_ends(sender, to, a, b, allow=allow)[0]


def all_ends(sender: str, to: str, a: str, b: str, *, allow: bool) -> list[Ends]:
    """Each direction that two sides can mean, `a` to `b` before the other."""
    if sender[:1] == "#":
        raise ValueError("a topic cannot send: it stands where the arrow points to")
    topics = Topics.of(to[1:]) if to[:1] == "#" else None
    name, network = _side(sender)
    to_name, to_network = (None, None) if topics else _side(to)
    found = []
    for source, destination in _directions(network, to_network, a, b):
        who = Side(name, network or Glob(source))
        whom = Side(to_name, to_network or Glob(destination)) if to_name else None
        if not allow and sender == "*":
            who = EVERYBODY
        if not allow and to == "*":
            whom, topics = EVERYBODY, ALL_TOPICS
        found.append(Ends(source, destination, who, whom, topics))
    return found


def _side(text: str) -> tuple[Glob, Glob | None]:
    name, at, network = text.partition("@")
    found = Glob(name), Glob(network) if at else None
    for glob in found:
        if glob is not None and in_common((glob,)) is None:
            raise ValueError(f"{glob.text!r} matches no name: they have 32 letters")
    return found


def _directions(
    of: Glob | None, to: Glob | None, a: str, b: str
) -> list[tuple[str, str]]:
    """(source, destination). A side tells if it is of one of the two and not both."""
    ways = [
        (source, destination)
        for source, destination in ((a, b), (b, a))
        if _can_be(of, source, destination) and _can_be(to, destination, source)
    ]
    if not ways:
        raise ValueError(
            f"both sides are of {of}, and mail of a network to itself needs no bridge"
        )
    return ways


def _can_be(network: Glob | None, here: str, there: str) -> bool:
    if network is None:
        return True
    return network.matches(here.lower()) or not network.matches(there.lower())


def _given(words: list[str], allow: bool) -> dict[str, Any]:
    """Keys and values of the words behind the sides."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if key in found:
            raise ValueError(f"{key} is there twice")
        if key not in _WORDS:
            raise ValueError(unknown(key, _WORDS))
        read = _WORDS[key] if allow or key != "replies" else values.flag
        try:
            found[key] = read("true" if read is values.flag and not equals else text)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    of_rate = {key: found.pop(key) for key in ("per", "exceed") if key in found}
    if "rate" in found:
        plain: Rate = found["rate"]
        found["rate"] = values.with_words(plain, **of_rate)
    elif of_rate:
        raise ValueError("per and exceed are of a rate: write rate=10/min too")
    return found


def make(
    id_: str, allow: bool, ways: list[Ends], given: Mapping[str, Any], line: int = 0
) -> list[Rule]:
    """A rule for each of `ways`. Raises `Wrong` for what does not fit together."""
    _fits(allow, all(way.to is None for way in ways), given)
    conditions = {key: given[key] for key in CONDITIONS if key in given}
    when = When(**{"kinds": rule_kinds(allow), **conditions})
    options = _options(given) if allow else Options()
    replies = not allow and given.get("replies", False)
    return [
        Rule(
            id_ + way.suffix,
            allow,
            way.source,
            way.destination,
            way.sender,
            way.to,
            way.topics,
            when,
            options,
            replies,
            line,
        )
        for way in ways
    ]


def _fits(allow: bool, to_topics: bool, given: Mapping[str, Any]) -> None:
    for key in given:
        if not allow and key in OPTIONS and key != "replies":
            raise Wrong(key, f"{key} is of an allow: a deny carries nothing")
    if "prefix" in given and not to_topics:
        raise Wrong("prefix", "prefix is for rules of topics: names are never changed")
    if given.get("overflow") == "drop_oldest" and not to_topics:
        raise Wrong(
            "overflow",
            "drop_oldest is for rules of topics: mail to an agent is never dropped; "
            "write refuse, or leave it out",
        )
    if given.get("expose") and to_topics:
        raise Wrong("expose", "expose lists agents, and this rule is of topics")


def _options(given: Mapping[str, Any]) -> Options:
    usual = Options()
    most, within = given.get("replies", (usual.replies_max, None))
    return Options(
        replies_max=most,
        replies_within_ms=usual.replies_within_ms if within is None else within,
        max_bytes=given.get("max_bytes", usual.max_bytes),
        transit=given.get("transit", False),
        prefix=given.get("prefix", ""),
        redact=given.get("redact"),
        rate=given.get("rate"),
        hold_ms=given.get("hold_for"),
        overflow=given.get("overflow", usual.overflow),
        expose=given.get("expose", False),
    )
