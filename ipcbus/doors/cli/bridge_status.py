"""`bridges status`: every link, and how it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import click

from ipcbus.doors.cli import bridge_marks
from ipcbus.doors.cli.bridge_claude_ipc import NAME
from ipcbus.doors.cli.options import agent_option, json_option
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.reach import ask_each, links_of
from ipcbus.doors.text import age, safe_line
from ipcbus.doors.view import timestamp
from ipcbus.errors import NothingThere, UsageError
from ipcbus.networks import Network, find, networks
from ipcbus.protocol.address import fold

STALE_S: Final = 10.0
"""Seconds after which a bridge that has not reported is not what it said it was; it
reports once a second."""

ANEW_S: Final = 90.0
"""Seconds after which a bridge whose link broke has begun it anew, or is gone."""


@click.command()
@click.argument("ends", metavar="[A B]", nargs=-1)
@agent_option
@json_option
def status(ends: tuple[str, ...], agent: str | None, as_json: bool) -> int:
    """Show every link, or those between A and B; and doors for old programs.

    Asks all networks of this machine that are up; ends with 3 if there is nothing.
    """
    about = asked(ends)
    answers, unasked = ask_each(about, agent, links_of)
    found = [
        described(network, link)
        for network, links in answers.items()
        for link in links
        if not ends or fold(link["peer"]) in map(fold, ends)
    ]

    doors = [] if ends and NAME not in map(fold, ends) else _doors(about)

    def human() -> Iterator[str]:
        if found:
            rows = [_cells(each) for each in found]
            here = {fold(name) for name in answers}
            far = [_cells_far(e) for e in found if fold(e["peer"]) not in here]
            yield from table(_TITLES, [*rows, *filter(None, far)])
        elif not doors:
            yield "no links"
        for door in doors:
            yield _told(door)
        for each in unasked:
            yield safe_line(f"{each.network} was not asked: {each.reason}")

    document = {
        "links": found,
        "doors": doors,
        "unasked": [each._asdict() for each in unasked],
    }
    emit(document, human, as_json=as_json)
    return 0 if found or doors else NothingThere.exit_code


def asked(ends: tuple[str, ...]) -> list[Network]:
    """The networks that a command is about: those of `[A B]`, or all that there are."""
    if not ends:
        return networks()
    if len(ends) != 2:
        raise UsageError(reason="say two networks, or none for all")
    here = {fold(network.name): network for network in networks()}
    found = [here[fold(name)] for name in ends if fold(name) in here]
    return found or [find(ends[0])]


def _doors(about: list[Network]) -> list[dict[str, Any]]:
    """Of old programs, as they have left word in the folders of their networks."""
    return [
        {
            "door": NAME,
            "network": network.name,
            "port": mark.port,
            "pid": mark.pid,
            "running": mark.is_running,
        }
        for network in about
        for mark in bridge_marks.found(network)
    ]


def _told(door: dict[str, Any]) -> str:
    now = "running" if door["running"] else "not running: it was killed"
    where = f"{door['door']} (127.0.0.1:{door['port']}) -> {door['network']}"
    return f"{where}: {now} (pid {door['pid']})"


def described(network: str, link: dict[str, Any]) -> dict[str, Any]:
    """A link out of `network`, as JSON: what is most asked comes first."""
    state, why = state_of(link)
    said = link["out"] or {}
    since = said.get("since_ms") if state == said.get("state") else None
    return {
        "network": network,
        "peer": link["peer"],
        "state": state,
        "why": why,
        "since": timestamp(since) if since else None,
        **{key: link[key] for key in ("queued", "in_flight", "held", "parked")},
        **{key: value for key, value in link.items() if key not in _FIRST},
    }


_FIRST: Final = frozenset({"peer", "queued", "in_flight", "held", "parked"})


def state_of(link: dict[str, Any]) -> tuple[str, str]:
    """The state of a link, and the reason if it does not carry."""
    said = link["out"]
    if link["paused"]:
        return "paused", "by its owner"
    if not link["open"]:
        return "closed", "no bridge has a key for it"
    if leads_in_only(link):
        return "in only", "no bridge takes mail this way"
    if not (link["led"] or link["bridges"]):
        if said and said.get("broken") and said["age_ms"] <= ANEW_S * 1000:
            return str(said["state"]), str(said["reason"])
        return "no bridge", "mail waits on disk until there is one"
    if said is None:
        return "connecting", ""
    if said["age_ms"] > STALE_S * 1000:
        return "silent", f"its bridge has said nothing for {said['age_ms'] // 1000} s"
    why = str(said.get("reason", ""))
    if not why and said.get("problem"):
        why = f"by its old rules: {said['problem']}"
    if not why and (broke := said.get("broke")):
        last = timestamp(broke["last_ms"])
        times = "1 time" if broke["times"] == 1 else f"{broke['times']} times"
        why = f"broke {times}, last at {last}: {broke['error']}"
    return str(said.get("state", "connecting")), why


def leads_in_only(link: dict[str, Any]) -> bool:
    """Whether it is the other half of a bridge of one way."""
    return bool(link["epoch"] < 0)


_TITLES: Final = (
    *("link", "state", "since", "queued", "in flight", "held", "parked"),
    *("relayed", "refused", "why"),
)


def _cells(link: dict[str, Any]) -> tuple[Any, ...]:
    counters = link["counters"]
    since = _age(link["out"]) if link["since"] else "-"
    return (
        f"{link['network']} -> {link['peer']}",
        link["state"],
        since,
        link["queued"],
        link["in_flight"],
        link["held"],
        link["parked"],
        counters["accepted"] + counters["duplicate"],
        counters["refused"] + counters["expired"],
        link["why"],
    )


def _cells_far(link: dict[str, Any]) -> tuple[Any, ...] | None:
    """The link the other way, of a network that could not be asked: what its bridge
    told here."""
    said = link["in"]
    if not said or not link["bridges"]:
        return None
    unknown = ["?"] * (len(_TITLES) - 4)
    way, state = f"{link['peer']} -> {link['network']}", said.get("state", "?")
    return (way, state, _age(said), *unknown, said.get("reason", ""))


def _age(said: dict[str, Any]) -> str:
    since_ms = said.get("since_ms", 0)
    return age(max(0.0, time.time() - since_ms / 1000)) if since_ms else "-"
