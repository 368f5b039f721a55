"""`bridges explain`: what would become of a message, gate by gate and rule by rule.

Nothing is sent. The gates are asked of the brokers, and the rules are judged by the
very functions that judge mail; so what is said here is what would happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from ipcbus.doors.cli.bridge import RULES
from ipcbus.doors.cli.bridge_status import state_of
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, paint
from ipcbus.doors.cli.reach import Unasked, link_of, try_owner
from ipcbus.doors.text import safe_line, size
from ipcbus.errors import Refused, UsageError
from ipcbus.networks import find
from ipcbus.protocol.address import Address, Kind, fold, parse
from ipcbus.protocol.limits import DEFAULT_PRIORITY, MAX_BODY, PRIORITIES
from ipcbus.protocol.messages import CONTROL, INFORM, SENDABLE_KINDS
from ipcbus.units import show_duration

if TYPE_CHECKING:
    from ipcbus.doors.cli.bridge_rules import Going
    from ipcbus_bridges.rules import Decision, Facts


class _Gate(NamedTuple):
    """What the broker of a network says."""

    network: str
    gate: str
    passes: bool
    said: str


class _Found(NamedTuple):
    """All that was found out; `unasked` are networks whose gates are not known."""

    facts: Facts
    out: list[_Gate]
    going: Going
    steps: list[str]
    decision: Decision
    into: list[_Gate]
    unasked: list[Unasked]

    @property
    def refused(self) -> str:
        """Why it does not pass, "" if it does; in the order of the way."""
        if not self.decision.carry:
            mine = f"{self.decision.status} {self.decision.reason}"
        else:
            mine = ""
        return _closed(self.out) or mine or _closed(self.into)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--from", "sender", required=True, metavar="NAME", help="Who sends.")
@click.option("--to", required=True, metavar="ADDRESS", help="To whom.")
@click.option("--topic", is_flag=True, help="ADDRESS is a topic, without its #.")
@click.option(
    "--kind",
    type=click.Choice(sorted(SENDABLE_KINDS)),
    default=INFORM,
    help="What it is; inform by default.",
)
@click.option(
    "--bytes",
    "length",
    type=click.IntRange(0, MAX_BODY),
    default=0,
    help="Bytes of its body; 0 by default.",
)
@click.option("--label", "labels", multiple=True, metavar="TEXT", help="A label.")
@click.option(
    "--priority",
    type=click.IntRange(0, PRIORITIES - 1),
    default=DEFAULT_PRIORITY,
    help="0 to 9; 4 by default.",
)
@RULES[0]
@RULES[1]
@RULES[2]
@json_option
def explain(
    a: str,
    b: str,
    sender: str,
    to: str,
    topic: bool,
    kind: str,
    length: int,
    labels: tuple[str, ...],
    priority: int,
    rules: Path | None,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    as_json: bool,
) -> int:
    """Tell what would become of a message from A to B, and why.

    By the rules of the bridge that runs. If none does, or if rules are given, by those
    that are given; without any, by what a bridge carries by default. Nothing is sent.
    Ends with 0 if it passes, and with 5 if not.
    """
    from ipcbus_bridges.rules import Facts

    who, whom = _who(sender, a), _whom(f"#{to}" if topic else to, b)
    is_far = fold(who.network or "") != fold(a)
    facts = Facts(
        str(who), str(whom), kind, priority, length, labels, int(is_far), False
    )
    found = _follow(a, b, facts, (rules, allow, deny))
    emit(_document(a, b, found), lambda: _lines(a, b, found), as_json=as_json)
    return Refused.exit_code if found.refused else 0


def _who(text: str, network: str) -> Address:
    found = parse(text)
    if found.kind is Kind.AGENT:
        return Address(Kind.FOREIGN, found.name, network)
    if found.kind is not Kind.FOREIGN:
        raise UsageError(reason=f"{text} cannot send; name an agent")
    return found


def _whom(text: str, network: str) -> Address:
    found = parse(text)
    if found.kind is Kind.AGENT:
        return Address(Kind.FOREIGN, found.name, network)
    return found


# --- the way of the message ------------------------------------------------------


_Rules = tuple[Path | None, tuple[str, ...], tuple[str, ...]]


def _follow(a: str, b: str, facts: Facts, rules: _Rules) -> _Found:
    from ipcbus_bridges.rules import arriving_topic

    report = _report(a, b)
    going = _going(a, b, report, rules)
    steps: list[str] = []
    decision = going.link.decide(facts, steps)
    if going.origin == "running":
        steps += _rate_left(decision, facts, report.get("rates", ()))
    unasked: list[Unasked] = []
    out = _gates(a, b, "out", facts, facts.to, unasked)
    to = facts.to
    if to[:1] == "#" and decision.carry:
        to = arriving_topic(to, decision.options)
    into = _gates(b, a, "in", facts, to, unasked) if to != "*" else []
    return _Found(facts, out, going, steps, decision, into, unasked)


def _rate_left(decision: Decision, facts: Facts, told: Iterable[Any]) -> list[str]:
    """What is left of the rate of the rule that carries it."""
    from ipcbus_bridges.rates import sharers

    rate = decision.options.rate
    if rate is None:
        return []
    shared_by = [decision.rule, *sharers(rate, facts.sender, facts.to)]
    left = next((row[3] for row in told if row[:3] == shared_by), rate.messages)
    exceed = "waits" if rate.exceed == "defer" else "is refused"
    return [f"rate: {left} of {rate.messages} are left now; what is over it {exceed}"]


def _report(a: str, b: str) -> dict[str, Any]:
    """What the bridge of the link said last, at the one or the other end; {} if there
    is none. Raises `NoNetwork` for a name that neither of them knows of."""
    links: list[dict[str, Any]] = []
    for network, peer, way in ((a, b, "out"), (b, a, "in")):
        client = try_owner(network)
        if isinstance(client, Unasked):
            continue
        with client:
            link = link_of(client, peer)
        if link is not None:
            links.append((link[way] or {}) if link["bridges"] else {})
    if not links:
        for network in (a, b):
            find(network)
    return max(links, key=len, default={})


def _gates(
    network: str, peer: str, way: str, facts: Facts, to: str, unasked: list[Unasked]
) -> list[_Gate]:
    """What the broker of `network` says; why it was not asked is put into `unasked`."""
    client = try_owner(network)
    if isinstance(client, Unasked):
        unasked.append(client)
        return []
    with client:
        link = link_of(client, peer)
        if link is None:
            reason = f"it has no link to {peer} yet; a bridge makes it"
            unasked.append(Unasked(client.network, reason))
            return []
        (rows,), _ = client.call("gates", peer, way, facts.sender, to, facts.size)
        found = _told(client.network, way, facts, rows)
        state, why = state_of(link)
        if state == "closed" or (way == "out" and state == "in only"):
            found.insert(0, _Gate(client.network, f"link to {peer}", False, why))
        return found


def _told(network: str, way: str, facts: Facts, rows: list[Any]) -> list[_Gate]:
    """The gates of a network, of what its broker told of them. It was not asked for the
    kind, so what no rule and no grant can change is said here."""
    found = [_Gate(network, *row) for row in rows]
    if way == "in" and facts.kind == CONTROL:
        said = "control messages stay in their network"
        found.insert(0, _Gate(network, "kind", False, said))
    return found


def _going(a: str, b: str, report: dict[str, Any], rules: _Rules) -> Going:
    from ipcbus.doors.cli.bridge_rules import given, running

    path, allow, deny = rules
    if not (path or allow or deny):
        found = running(a, b, report)
        if found is not None:
            return found
    return given(a, b, path, allow, deny)


def _closed(gates: list[_Gate]) -> str:
    for gate in gates:
        if not gate.passes:
            return f"{gate.gate}: {gate.said}"
    return ""


# --- what is told ----------------------------------------------------------------


_ORIGINS: Final = {
    "running": "rules of the bridge",
    "given": "rules as given",
    "default": "rules of a bridge that is given none",
}


def _document(a: str, b: str, found: _Found) -> dict[str, Any]:
    facts, decision, going = found.facts, found.decision, found.going
    terms = going.rules.terms
    return {
        "passes": not found.refused,
        "reason": found.refused,
        "from": facts.sender,
        "to": facts.to,
        "kind": facts.kind,
        "link": [a, b],
        "gates_out": [gate._asdict() for gate in found.out],
        "rules": {
            "origin": going.origin,
            "revision": going.link.revision,
            "note": going.note,
            "steps": found.steps,
            "carries": decision.carry,
            "rule": decision.rule,
            "status": decision.status,
            "reason": decision.reason,
        },
        "options": _plain(decision.options) if decision.carry else None,
        "terms": _plain(terms),
        "gates_in": [gate._asdict() for gate in found.into],
        "unasked": [each._asdict() for each in found.unasked],
    }


def _plain(value: Any) -> Any:
    """Named tuples as maps, all the way down."""
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    return value


def _lines(a: str, b: str, found: _Found) -> Iterator[str]:
    facts, going, decision = found.facts, found.going, found.decision
    labels = "".join(f" [{label}]" for label in facts.labels)
    what = f"{facts.kind}, {size(facts.size)}, priority {facts.priority}{labels}"
    yield safe_line(f"{facts.sender} -> {facts.to}  {what}")
    yield from _gate_lines(found.out)
    note = f"; {going.note}" if going.note else ""
    origin = f"{_ORIGINS[going.origin]}, {a} -> {b}"
    yield safe_line(f"{origin} (revision {going.link.revision}{note})")
    for step in found.steps:
        yield safe_line(f"  {step}")
    yield from _gate_lines(found.into)
    for each in found.unasked:
        yield safe_line(f"{each.network} was not asked: {each.reason}")
    if found.refused:
        yield paint("refused", "red") + safe_line(f"  {found.refused}")
    else:
        known = ", as far as could be asked" if found.unasked else ""
        yield paint("passes", "green") + safe_line(f"{known}  by {_limits(decision)}")


def _gate_lines(gates: list[_Gate]) -> Iterator[str]:
    if gates:
        yield f"gates of {safe_line(gates[0].network)}"
    for gate in gates:
        word = "passes" if gate.passes else "refuses"
        yield safe_line(f"  {gate.gate}: {word} ({gate.said})")


def _limits(decision: Decision) -> str:
    options = decision.options
    told = [
        f"{options.replies_max} answers within "
        f"{show_duration(options.replies_within_ms)}",
        f"{size(options.max_bytes)} at most",
    ]
    if options.rate is not None:
        told.append(f"{options.rate.messages} per {show_duration(options.rate.per_ms)}")
    if options.hold_ms is not None:
        told.append(f"held for {show_duration(options.hold_ms)}")
    if options.prefix:
        told.append(f"as #{options.prefix}...")
    told += ["redacted"] if options.redact is not None else []
    told += ["goes on to farther networks"] if options.transit else []
    return f"rule {decision.rule}: {', '.join(told)}"
