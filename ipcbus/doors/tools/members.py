"""What `agents`, `profile` and `status` do."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ipcbus.doors.text import age, safe_line
from ipcbus.doors.tools.pages import PAUSED
from ipcbus.errors import NameTaken

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.client.words import Agent
    from ipcbus.doors.tools.desk import Desk

MOST_AGENTS: Final = 50
"""Names in one answer; `match` finds others."""


def agents(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    part = args.get("match", "").casefold()
    found: list[dict[str, Any]] = []
    for client in desk.clients(args.get("network")):
        for each in client.agents():
            if part in each.name.casefold():
                where = {"network": client.network} if desk.is_wide else {}
                found.append({"name": safe_line(each.name), **where, **_facts(each)})
    more = len(found) - MOST_AGENTS
    return {"agents": found[:MOST_AGENTS]} | ({"more": more} if more > 0 else {})


def _facts(each: Agent) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if not each.name.partition("@")[1]:
        facts["seen"] = _seen(each)
    if each.topics:
        facts["topics"] = [f"#{topic}" for topic in each.topics]
    return facts


def _seen(each: Agent) -> str:
    if each.sessions:
        return "now"
    if not each.registered:
        return "never"
    if each.last_seen is None:
        return "before the broker started"
    return age(time.time() - each.last_seen / 1000)


def profile(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if name := args.get("name", desk.agent):
        desk.sit_down(name)
    client = desk.client(args.get("network"))
    if (new := args.get("rename")) and (old := _rename(desk, new)):
        found["was"] = old
    for pattern in args.get("join", ()):
        client.join(pattern.removeprefix("#"))
    for pattern in args.get("leave", ()):
        client.leave(pattern.removeprefix("#"))
    return {"agent": desk.agent, **found, **_profile(desk, client)}


def _rename(desk: Desk, new: str) -> str | None:
    """The former name, if it is another one. In all networks of the desk or in none,
    or a model had two names; where it has the new one already, an earlier try was cut
    off."""
    old = desk.agent
    left = [each for each in desk.clients() if _whoami(each)[0] != new]
    if len(left) > 1:
        for each in left:
            _check_free(each, new)
    for each in left:
        each.rename(new)
    desk.be_called(new)
    return old if left else None


def _check_free(client: Client, name: str) -> None:
    """Raises `NameTaken`. One that only differs in case may be the agent's own."""
    others = (each.name for each in client.agents() if each.registered)
    if name in others:
        raise NameTaken(name=name, reason=f"another agent of {client.network} has it")


def _whoami(client: Client) -> tuple[str, int]:
    """The name that the broker knows, and how much mail waits."""
    (name, _, _, waiting), _ = client.call("whoami")
    return name, waiting


def _profile(desk: Desk, client: Client) -> dict[str, Any]:
    name, waiting = _whoami(client)
    topics = next((each.topics for each in client.agents() if each.name == name), [])
    networks = {"networks": desk.networks} if desk.is_wide else {}
    return {
        "network": client.network,
        **networks,
        "topics": [f"#{topic}" for topic in topics],
        "waiting": waiting,
    }


def status(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    found = [_status(client) for client in desk.clients(args.get("network"))]
    return {"agent": desk.agent, **found[0]} if len(found) == 1 else {"networks": found}


def _status(client: Client) -> dict[str, Any]:
    said = client.status()
    name, waiting = _whoami(client)
    facts = {"network": client.network, "waiting": waiting}
    if said["paused"]["network"] or name in said["paused"]["agents"]:
        facts["paused"] = PAUSED
    if stopped := [*_stopped(said["guards"]["rounds"])]:
        facts["stopped"] = stopped
    if said["volatile"]:
        facts["volatile"] = True
    for fact in ("uptime_s", "agents", "sessions"):
        if fact in said:
            facts[fact] = said[fact]
    return facts


def _stopped(rounds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Those whom the guard against loops has stopped, and for how long."""
    now = time.time() * 1000
    for row in rounds:
        if row["until_ms"] > now:
            seconds = math.ceil((row["until_ms"] - now) / 1000)
            yield safe_line(f"{', '.join(row['agents'])}: {seconds} s more")
