"""`bridges check`: what is wrong with the links, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from ipcbus.doors.cli.bridge_status import asked, described
from ipcbus.doors.cli.options import agent_option, json_option
from ipcbus.doors.cli.output import emit, paint
from ipcbus.doors.cli.reach import ask_each, links_of
from ipcbus.doors.text import safe_line
from ipcbus.errors import ConfigError
from ipcbus.protocol.limits import MAX_HOLD_MS
from ipcbus.units import show_duration

if TYPE_CHECKING:
    from ipcbus_bridges.rules import LinkRules

_STYLES: Final = {"ok": "green", "warn": "yellow", "bad": "red"}


class _Finding(NamedTuple):
    """As of `doctor`: `warn` works, but not for long or not as well; `bad` does not."""

    link: str
    status: str
    finding: str
    mend: str = ""


@click.command()
@click.argument("ends", metavar="[A B]", nargs=-1)
@agent_option
@json_option
def check(ends: tuple[str, ...], agent: str | None, as_json: bool) -> int:
    """Look for what is wrong with links, and say how to mend it.

    Looks at every link, or at those between A and B, and changes nothing. Ends with 1
    if anything is bad.
    """
    answers, unasked = ask_each(asked(ends), agent, links_of)
    links = [
        described(network, link) for network, links in answers.items() for link in links
    ]
    findings = [found for link in links for found in _of_link(link)]
    findings += _circles(links)
    findings += [
        _Finding(each.network, "warn", f"not asked: {each.reason}") for each in unasked
    ]
    is_well = all(found.status != "bad" for found in findings)
    document = {"well": is_well, "findings": [found._asdict() for found in findings]}
    emit(document, lambda: _lines(findings), as_json=as_json)
    return 0 if is_well else 1


def _lines(findings: list[_Finding]) -> Iterator[str]:
    for found in findings:
        status = paint(f"{found.status:<4}", _STYLES[found.status])
        yield f"{status}  {safe_line(found.link)}: {safe_line(found.finding)}"
        if found.mend:
            yield f"      {safe_line(found.mend)}"
    if not findings:
        yield "there are no links"


# --- one link ----------------------------------------------------------------------


def _of_link(link: dict[str, Any]) -> Iterator[_Finding]:
    name = f"{link['network']} -> {link['peer']}"
    ends = f"{link['network']} {link['peer']}"
    troubles = [*_state(link, ends), *_waiting(link, ends), *_narrowed(link, ends)]
    for status, finding, mend in troubles:
        yield _Finding(name, status, finding, mend)
    if not troubles:
        told = f" since {link['since']}" if link["since"] else f": {link['why']}"
        yield _Finding(name, "ok", f"{link['state']}{told}")


_Trouble = tuple[str, str, str]


def _state(link: dict[str, Any], ends: str) -> Iterator[_Trouble]:
    """Whether a bridge carries, and if not, why."""
    state, why = link["state"], link["why"]
    said = f"{state}: {why}" if why else state
    match state:
        case "running" | "in only":
            pass
        case "paused":
            yield "warn", said, f"ipcbus bridges resume {ends}"
        case "no bridge":
            yield "bad", said, f"start it: ipcbus bridge {ends}"
        case "closed":
            yield "warn", said, f"start a bridge: ipcbus bridge {ends}"
        case "identity_changed":
            mend = f"if that is right: ipcbus bridges trust {ends}, and the other way"
            yield "bad", said, mend
        case "connecting" | "asking" | "standby" | "blocked" | "fenced":
            yield "warn", said, "it goes on by itself when that is over"
        case _:
            yield "bad", said, "see what it says"
    problem = (link["out"] or {}).get("problem")
    if problem:
        mend = "mend the file; the bridge reads it again by itself"
        yield "bad", f"its rules could not be read again: {problem}", mend


def _waiting(link: dict[str, Any], ends: str) -> Iterator[_Trouble]:
    terms = link["terms"]
    if link["parked"]:
        mend = f"see: ipcbus bridges parked list {ends}"
        yield "warn", f"{link['parked']} messages are parked", mend
    waiting = link["queued"] + link["in_flight"] + link["held"]
    if waiting >= terms["messages"] or link["bytes"] >= terms["bytes"]:
        yield "bad", f"its queue is full: {waiting} messages", "see why nothing passes"
    if terms["hold_ms"] > MAX_HOLD_MS:
        hold, most = show_duration(terms["hold_ms"]), show_duration(MAX_HOLD_MS)
        finding = f"hold_for is {hold}: ids are known again for {most} at least"
        yield "bad", finding, f"set hold_for to {most} or less in its rules"


def _narrowed(link: dict[str, Any], ends: str) -> Iterator[_Trouble]:
    """Grants that let no mail to agents pass."""
    for way, lines in link["grants"].items():
        here, there = link["network"], link["peer"]
        between = (here, there) if way == "out" else (there, here)
        if lines and _lets_nothing_pass(lines, *between):
            finding = f"the grant ({way}) of {here} lets no mail to agents pass"
            yield "warn", finding, f"see: ipcbus grant {ends} --show"


def _lets_nothing_pass(lines: Sequence[str], source: str, destination: str) -> bool:
    """Whether each allow lies within a deny; where there is none, all that there is."""
    from ipcbus_bridges.rules import parse_short

    rules = []
    for number, line in enumerate(lines):
        verb, _, sides = line.partition(" ")
        sender, _, to = sides.partition("->")
        try:
            rules += parse_short(
                f"{_full(sender, source)} -> {_full(to, destination)}",
                allow=verb == "allow",
                id=f"grant-{number}",
                a=source,
                b=destination,
            )
        except ConfigError:
            return False  # of farther networks; nothing is said of those
    allows = [rule for rule in rules if rule.allow]
    if not allows:
        allows = parse_short("* -> *", allow=True, id="all", a=source, b=destination)
    denies = [rule for rule in rules if not rule.allow]
    return all(any(deny.covers(allow) for deny in denies) for allow in allows)


def _full(side: str, network: str) -> str:
    text = side.strip()
    return text if "@" in text or text[:1] == "#" else f"{text}@{network}"


# --- all of them -------------------------------------------------------------------


def _circles(links: Sequence[dict[str, Any]]) -> Iterator[_Finding]:
    """Rules of transit that send mail round and round, over all bridges that told."""
    from ipcbus.doors.cli.bridge_rules import running
    from ipcbus_bridges.overlap import cycles

    known: dict[tuple[str, str], LinkRules] = {}
    for link in links:
        ends = link["network"], link["peer"]
        for way, (source, destination) in (("out", ends), ("in", ends[::-1])):
            try:
                going = running(source, destination, link[way] or {})
            except ConfigError as error:
                yield _Finding(f"{source} -> {destination}", "warn", str(error))
                continue
            if going is not None:
                known[source.lower(), destination.lower()] = going.link
    rules = [(link.source, link.destination, link) for link in known.values()]
    for sentence in cycles(rules):
        yield _Finding("all", "bad", sentence, "change the rules of one of them")
