"""What `agents`, `profile` and `status` do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ipcbus.doors.text import age, safe_line

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
    if (new := args.get("rename")) is not None:
        found["was"] = _rename(desk, client, new)
    for pattern in args.get("join", ()):
        client.join(pattern.removeprefix("#"))
    for pattern in args.get("leave", ()):
        client.leave(pattern.removeprefix("#"))
    return {"agent": desk.agent, **found, **_profile(desk, client)}


def _rename(desk: Desk, client: Client, new: str) -> str:
    """The former name. In all networks of the desk, or a model had two names."""
    old = desk.agent
    for each in desk.clients():
        each.rename(new)
    desk.be_called(new)
    return str(old)


def _profile(desk: Desk, client: Client) -> dict[str, Any]:
    (_, _, _, waiting), _ = client.call("whoami")
    topics = next(
        (each.topics for each in client.agents() if each.name == desk.agent), []
    )
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
    (_, _, _, waiting), _ = client.call("whoami")
    facts = {"network": client.network, "waiting": waiting}
    if said["volatile"]:
        facts["volatile"] = True
    for name in ("uptime_s", "agents", "sessions"):
        if name in said:
            facts[name] = said[name]
    return facts
