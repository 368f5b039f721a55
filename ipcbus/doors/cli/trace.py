"""`route`, `trace`, `audit`: by which way mail goes, and by which it went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from ipcbus.client.sync import Client
from ipcbus.doors.cli.options import member, operator, typed
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.reach import ask_each, links_of
from ipcbus.doors.cli.session import as_either, as_operator
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import timestamp
from ipcbus.errors import InvalidMessage, NoSuchMessage, NothingThere
from ipcbus.networks import find, networks
from ipcbus.protocol.address import fold, is_ref
from ipcbus.protocol.limits import PAGE


@click.command()
@click.argument("address")
@member
def route(address: str, network: str | None, agent: str | None, as_json: bool) -> None:
    """Tell by which link mail to an address leaves.

    And how that link is. Ends with 6 if none leads there.
    """
    with as_either(network, agent) as client:
        (peer, state, reason), _ = client.call("route", address)
        name = client.network
    found = {
        "network": name,
        "to": address,
        "peer": peer,
        "state": state,
        "reason": reason,
    }

    def human() -> Iterator[str]:
        way = f"by the link {name} -> {peer}" if peer else f"within {name}"
        why = f"  ({reason})" if reason else ""
        yield safe_line(f"{address}  {way}  {state}{why}")

    emit(found, human, as_json=as_json)


# --- trace ---------------------------------------------------------------------


class _Step(NamedTuple):
    """A row of a trace, and the network that told it."""

    at: int
    network: str
    id: str
    way: str
    peer: str
    sender: str
    to: str
    rule: str
    verdict: str
    status: str
    reason: str


@click.command()
@click.argument("message_id", metavar="ID")
@member
def trace(
    message_id: str, network: str | None, agent: str | None, as_json: bool
) -> None:
    """Tell which way a message went.

    All networks of this machine that can be asked are; with --network only that one.
    ID is its id where it was sent, or ID@NETWORK, as other networks call it.
    """
    if not is_ref(message_id):
        raise InvalidMessage(field="id", reason="is none of a message")
    chosen = [find(network)] if network and typed("network") else networks()
    names = {each.name for each in networks()}
    answers, unasked = ask_each(
        chosen, agent, lambda client: _told(client, message_id, names)
    )
    steps = sorted(step for told, _ in answers.values() for step in told)
    states = {name: state for name, (told, state) in answers.items() if told and state}
    if not steps:
        where = "in " + (", ".join(answers) or "any network that could be asked")
        raise NoSuchMessage(id=message_id, where=where)

    def human() -> Iterator[str]:
        titles = ("at", "network", "way", "from", "to", "verdict", "rule", "reason")
        yield from table(titles, map(_cells, steps))
        for name, state in states.items():
            yield f"{safe_line(name)}: {state}"
        for each in unasked:
            yield safe_line(f"{each.network} was not asked: {each.reason}")

    found = {
        "id": message_id,
        "steps": [_document(step) for step in steps],
        "states": states,
        "unasked": [each._asdict() for each in unasked],
    }
    emit(found, human, as_json=as_json)


def _told(
    client: Client, message_id: str, names: set[str]
) -> tuple[list[_Step], str | None]:
    """The steps that one network knows of, and the state of the message there."""
    state = None
    found: list[_Step] = []
    for id_ in _ids(client, message_id, names):
        try:
            (rows, state_), _ = client.call("trace", id_)
        except NoSuchMessage:
            continue
        found += [_step(client.network, id_, row) for row in rows]
        state = state or state_
    return found, state


def _ids(client: Client, message_id: str, names: set[str]) -> list[str]:
    """What a network may call the message: by its plain id if it was sent there."""
    here = client.network
    plain, at, origin = message_id.rpartition("@")
    if at:
        return [plain] if fold(origin) == fold(here) else [message_id]
    peers = {link["peer"] for link in links_of(client)}
    others = sorted(name for name in names | peers if fold(name) != fold(here))
    return [message_id, *(f"{message_id}@{name}" for name in others)]


def _step(network: str, id_: str, row: list[Any]) -> _Step:
    at, way, *rest = row
    return _Step(at, network, id_, way, *rest)


def _way(step: _Step) -> str:
    if not step.way:
        return "came" if "@" in step.sender else "sent"
    arrow = "->" if step.way == "out" else "<-"
    return f"{arrow} {step.peer}"


def _cells(step: _Step) -> tuple[str, ...]:
    reason = f"{step.status} {step.reason}".strip()
    at, way = timestamp(step.at), _way(step)
    ends = step.sender, step.to
    return (at, step.network, way, *ends, step.verdict, step.rule or "-", reason)


def _document(step: _Step) -> dict[str, Any]:
    found = step._asdict()
    found["from"] = found.pop("sender")
    return {**found, "at": timestamp(step.at)}


# --- audit ---------------------------------------------------------------------


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, PAGE), default=20, help="Entries, at most."
)
@click.option(
    "--after",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Only later ones; `n` of the last page's last.",
)
@operator
def audit(network: str | None, as_json: bool, limit: int, after: int) -> int:
    """List what crossed to and from a network.

    And what was refused. Oldest first; messages in a row with one fate are one entry.
    Ends with 3 if there are none.
    """
    with as_operator(network) as client:
        (rows,), _ = client.call("audit", after, limit)
        name = client.network
    found = [_audited(row) for row in rows]

    def human() -> Iterator[str]:
        titles = ("n", "at", "way", "messages", "verdict", "rule", "id", "reason")
        if found:
            yield from table(titles, (_audit_cells(name, each) for each in found))
        else:
            yield "nothing crossed"

    emit({"network": name, "audit": found}, human, as_json=as_json)
    return 0 if found else NothingThere.exit_code


_FIELDS = (
    *("n", "at", "way", "peer", "messages", "id", "from", "to", "rule"),
    *("verdict", "status", "reason"),
)


def _audited(row: list[Any]) -> dict[str, Any]:
    found = dict(zip(_FIELDS, row, strict=True))
    return {**found, "at": timestamp(found["at"])}


def _audit_cells(network: str, each: dict[str, Any]) -> tuple[Any, ...]:
    arrow = "->" if each["way"] == "out" else "<-"
    reason = f"{each['status']} {each['reason']}".strip()
    way = f"{network} {arrow} {each['peer']}"
    cells = (each["n"], each["at"], way, each["messages"], each["verdict"])
    return (*cells, each["rule"] or "-", each["id"] or "-", reason)
