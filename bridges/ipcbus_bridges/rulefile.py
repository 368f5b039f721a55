"""Files of rules: YAML in, `Rules` out.

    hold_for: 24h
    rules:
      - id: no-secrets
        deny: {labels: [secret]}
      - id: plan-review
        allow: "planner@dev -> reviewer@prod"
        kinds: [inform, request]
        replies: {max: 5, within: 2h}

An error names the file, the rule and its line, what is wrong, and what to write.
docs/bridge-rules.md tells all keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus_bridges import values
from ipcbus_bridges.checks import Placed, check, check_bounds, check_circles
from ipcbus_bridges.patterns import is_name
from ipcbus_bridges.places import Place, Wrong, is_text
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.redact import Redact
from ipcbus_bridges.rule import MAX_BODY, MAX_HOPS, Terms
from ipcbus_bridges.rules import Rules
from ipcbus_bridges.sections import Section, section
from ipcbus_bridges.shortform import (
    COMMAND_LINE,
    CONDITIONS,
    OPTIONS,
    Ends,
    all_ends,
    make,
    parse_short,
    split,
)

TOP: Final = ("rules", "hold_for", "warn_after", "max_hops", "max_queue")
RULE: Final = ("id", "allow", "deny", *CONDITIONS, *OPTIONS)
SIDES: Final = ("from", "to", "topic", *CONDITIONS)
REPLIES: Final = ("max", "within")
RATE: Final = ("messages", "per", "exceed")
REDACT: Final = ("mask", "headers", "data", "with")
QUEUE: Final = ("messages", "bytes")
"""Keys, by where they may stand."""

MAX_MESSAGES: Final = 10_000_000
MAX_BYTES: Final = 1024**4


class _File(NamedTuple):
    """What a file says; `hops` is None if it does not say."""

    place: Place
    rules: list[Placed]
    terms: Terms
    hops: Place | None


def load(
    path: Path, a: str, b: str, known_networks: Collection[str] | None = None
) -> Rules:
    """The rules of the file at `path`. Raises `ConfigError`."""
    return build((), (), path, a, b, known_networks)


def parse(
    data: bytes,
    file: str,
    a: str,
    b: str,
    known_networks: Collection[str] | None = None,
) -> Rules:
    """The rules that `data` holds; `file` is for the errors. Raises `ConfigError`."""
    _two(a, b)
    read = _file(ipcbus.documents.parse(data, file), file, a, b)
    return _rules(read, [], [], a, b, known_networks)


def build(
    text_allow: Sequence[str],
    text_deny: Sequence[str],
    path: Path | None,
    a: str,
    b: str,
    known_networks: Collection[str] | None = None,
) -> Rules:
    """The rules of a file and of the command line together. Raises `ConfigError`.

    Any deny of either wins; the allows of the file come first. Without a file and
    without an allow a bridge carries what it does by default, but for what is denied.
    """
    _two(a, b)
    read = None
    if path is not None:
        _tellable(path)
        read = _file(ipcbus.documents.read(path), str(path), a, b)
    allows = _short(text_allow, True, a, b)
    return _rules(read, allows, _short(text_deny, False, a, b), a, b, known_networks)


def _tellable(path: Path) -> None:
    """Brokers are told which file it is, and `explain` reads it again."""
    name = str(path.absolute())
    if not is_text(name):
        raise Place(name).wrong("its path is not UTF-8 text; give it another name")


def _two(a: str, b: str) -> None:
    if not (is_name(a) and is_name(b)) or a.lower() == b.lower():
        raise Place(COMMAND_LINE, "bridge").wrong(
            f"a bridge is between two networks, and not between {a!r} and {b!r}"
        )


def _short(texts: Sequence[str], allow: bool, a: str, b: str) -> list[Placed]:
    """Rules of the command line: allow-1, allow-2 ..., deny-1 ..."""
    word = "allow" if allow else "deny"
    places = [Place(COMMAND_LINE, f"--{word} {text!r}") for text in texts]
    for text, place in zip(texts, places, strict=True):
        if not is_text(text):
            raise place.wrong("is not UTF-8 text")
    return [
        Placed(rule, place)
        for number, (text, place) in enumerate(zip(texts, places, strict=True), 1)
        for rule in parse_short(text, allow=allow, id=f"{word}-{number}", a=a, b=b)
    ]


def _rules(
    read: _File | None,
    allows: list[Placed],
    denies: list[Placed],
    a: str,
    b: str,
    known: Collection[str] | None,
) -> Rules:
    placed = [*denies, *(read.rules if read else ()), *allows]
    check(a, b, placed, known)
    if read is None and not allows:
        return Rules.default(a, b, [one.rule for one in denies])
    terms = read.terms if read else Terms()
    if any(one.rule.options.transit for one in placed):
        if read is None or read.hops is None:
            terms = terms._replace(max_hops=2)
        elif terms.max_hops < 2:
            raise read.hops.wrong("must be 2 or more, since a rule has transit: true")
    rules = Rules(a, b, [one.rule for one in placed], terms)
    check_circles(rules, placed)
    check_bounds(rules, placed)
    return rules


def _file(item: ipcbus.documents.Item, file: str, a: str, b: str) -> _File:
    top = section(Place(file, "", item.line), item, TOP)
    if "rules" not in top.items:
        raise top.place.wrong(
            "rules is missing; write `rules: []` to carry answers only"
        )
    listed, at = top.items["rules"].value, top.at("rules")
    if listed is not None and not isinstance(listed, list):
        raise at.wrong("must be a list of rules, each beginning with `- id: `")
    placed = [
        one
        for number, child in enumerate(listed or (), 1)
        for one in _rule(Place(file, f"rules[{number}]", child.line), child, a, b)
    ]
    hops = top.at("max_hops") if "max_hops" in top.items else None
    return _File(top.place, placed, _terms(top), hops)


def _terms(top: Section) -> Terms:
    given = _each(
        top,
        {
            "hold_for": values.hold_ms,
            "warn_after": values.warn_ms,
            "max_hops": lambda text: values.count(text, 1, MAX_HOPS),
        },
    )
    queue: dict[str, Any] = {}
    if "max_queue" in top.items:
        queue = _each(
            top.below("max_queue", QUEUE),
            {
                "messages": lambda text: values.count(text, 1, MAX_MESSAGES),
                "bytes": lambda text: values.size(text, MAX_BODY, MAX_BYTES),
            },
        )
    names = {"hold_for": "hold_ms", "warn_after": "warn_ms"}
    return Terms(**{names.get(key, key): v for key, v in {**given, **queue}.items()})


def _rule(place: Place, item: ipcbus.documents.Item, a: str, b: str) -> list[Placed]:
    if isinstance(item.value, Mapping) and "id" in item.value:
        id_ = item.value["id"].value
        if isinstance(id_, str) and is_name(id_):
            place = Place(place.file, f"rules.{id_}", place.line)
    rule = section(place, item, RULE)
    id_ = _id(rule)
    verbs = [key for key in ("allow", "deny") if key in rule.items]
    if len(verbs) != 1:
        raise rule.place.wrong(
            'must have either allow or deny, as in `allow: "planner@dev -> bob@prod"`'
        )
    allow = verbs == ["allow"]
    ways, given = _sides(rule, verbs[0], a, b)
    for key, value in {**_conditions(rule), **_options(rule, allow)}.items():
        if key in given:
            raise rule.at(key).wrong(f"{key} is there twice, also below {verbs[0]}")
        given[key] = value
    try:
        made = make(id_, allow, ways, given, rule.place.line)
    except Wrong as error:
        raise rule.at(error.key).wrong(str(error)) from error
    return [Placed(one, rule.place) for one in made]


def _id(rule: Section) -> str:
    if "id" not in rule.items:
        raise rule.place.wrong("has no id; begin it with `- id: some-name`")

    def read(text: str) -> str:
        if is_name(text) and not text.endswith((".fwd", ".rev")):
            return text
        raise ValueError(
            f"{text!r} is no id: up to 32 letters, digits, '.', '_' and '-', the "
            "first a letter or digit; .fwd and .rev are what <-> adds"
        )

    return rule.text("id", read)


def _sides(
    rule: Section, verb: str, a: str, b: str
) -> tuple[list[Ends], dict[str, Any]]:
    """Who and to whom, and the conditions that stand with them."""
    allow = verb == "allow"
    if rule.holds_text(verb):

        def read(text: str) -> list[Ends]:
            sides, words = split(text)
            if words:
                raise ValueError(
                    f"{words!r} stands behind the sides; in a file that is written as "
                    "keys of the rule"
                )
            return sides.between(a, b, allow=allow)

        return rule.text(verb, read), {}
    sides = rule.below(verb, SIDES)
    sender = sides.text("from", str) if "from" in sides.items else "*"
    to = _target(sides, allow)
    try:
        ways = all_ends(sender, to, a, b, allow=allow)
    except ValueError as error:
        raise sides.place.wrong(str(error)) from error
    # An allow goes one way; a deny holds wherever it can be meant.
    return ways[:1] if allow else ways, _conditions(sides)


def _target(sides: Section, allow: bool) -> str:
    if "to" in sides.items and "topic" in sides.items:
        raise sides.at("topic").wrong("a rule has either to or topic; write two rules")
    if "topic" in sides.items:
        return "#" + sides.text("topic", str).removeprefix("#")
    if "to" in sides.items:
        return sides.text("to", str)
    if allow:
        raise sides.place.wrong(
            'has neither to nor topic; write to: "*" for all agents'
        )
    return "*"


def _conditions(keys: Section) -> dict[str, Any]:
    found = _each(keys, {"size": values.size_range, "priority": values.priorities})
    for key, read in (("kinds", values.kinds), ("labels", values.labels)):
        if key in keys.items:
            found[key] = keys.texts(key, read)
    return found


def _options(rule: Section, allow: bool) -> dict[str, Any]:
    if not allow:
        given: dict[str, Any] = {key: None for key in OPTIONS if key in rule.items}
        return {**given, **_each(rule, {"replies": values.flag})}
    found = _each(
        rule,
        {
            "max_bytes": values.max_bytes,
            "transit": values.flag,
            "prefix": values.prefix,
            "hold_for": values.hold_ms,
            "overflow": values.overflow,
            "expose": values.flag,
        },
    )
    for key, read in (("replies", _replies), ("rate", _rate), ("redact", _redact)):
        if key in rule.items:
            found[key] = read(rule)
    return found


def _replies(rule: Section) -> tuple[int, int | None]:
    if rule.holds_text("replies"):
        return rule.text("replies", values.replies)
    keys = rule.below("replies", REPLIES)
    most = keys.text("max", values.answers) if "max" in keys.items else 10
    within = keys.text("within", values.reply_ms) if "within" in keys.items else None
    return most, within


def _rate(rule: Section) -> Rate:
    if rule.holds_text("rate"):
        return rule.text("rate", values.rate)
    keys = rule.below("rate", RATE)
    if "messages" not in keys.items:
        raise keys.place.wrong("has no messages; write messages: 10/min")
    words = _each(keys, {"per": values.per, "exceed": values.exceeding})
    return values.with_words(keys.text("messages", values.rate), **words)


def _redact(rule: Section) -> Redact:
    keys = rule.below("redact", REDACT)
    found: dict[str, Any] = {}
    if "with" in keys.items:
        found["replacement"] = keys.text("with", values.replacement)
    for key, read in (
        ("mask", values.masks),
        ("headers", values.names),
        ("data", values.paths),
    ):
        if key in keys.items:
            found[key] = keys.texts(key, read)
    if not found.keys() - {"replacement"}:
        raise keys.place.wrong("takes nothing out; write mask, headers or data")
    return Redact(**found)


def _each(keys: Section, reads: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The values of those keys that are there."""
    return {
        key: keys.text(key, read) for key, read in reads.items() if key in keys.items
    }
