"""From what a person wants to an agent that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import Limits, Options
from ipcbus.adapters.budget import UNBOUNDED, Bounds, Price
from ipcbus.adapters.finding import let_go, make
from ipcbus.adapters.ledger import Ledger
from ipcbus.adapters.runner import Profile, Runner
from ipcbus.adapters.thinking import Character, Thinker
from ipcbus.client.aio import connect_async
from ipcbus.doors.tools.desk import Desk
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.errors import UsageError
from ipcbus.networks import create

PROGRAM: Final = "ipcbus agent"

OFFERED: Final = ("send", "ask", "agents", "status", "profile")
"""The tools that an agent may have. Its mail is the runner's business: `inbox` and
`wait` would take it away."""

USUAL: Final = ("send", "ask", "agents", "status")


class Wanted(NamedTuple):
    """An agent, as the command line or a configuration describes it.

    Attributes:
        tools: names of those that its model may call.
        topics: that it joins.
        persona: text that is added to what its model is told.
        window: tokens of conversation that its model is shown.
        start: start a broker if nobody serves the network.
    """

    name: str
    network: str
    adapter: str
    options: Options = Options()
    tools: Sequence[str] = USUAL
    topics: Sequence[str] = ()
    persona: str = ""
    human: str = ""
    bounds: Bounds = Bounds()
    together: Bounds = UNBOUNDED
    prices: Mapping[str, Price] = {}
    limits: Limits = Limits()
    window: int = 16_000
    conversations: int = 4
    start: bool = True


async def serve(
    wanted: Wanted, stopping: asyncio.Event, tell: Callable[[str], Any]
) -> None:
    """Serve until `stopping` is set.

    Raises `UsageError`, `AdapterMissing`, `KeyRefused`, and what `connect` raises.
    """
    tools = tuple(BY_NAME[_offered(name)] for name in wanted.tools)
    adapter = make(wanted.adapter, wanted.options, tell)
    network = create(wanted.network)
    client = await connect_async(
        network.name, agent=wanted.name, start=wanted.start, program=PROGRAM
    )
    desk = Desk((network.name,), wanted.name, program=PROGRAM, start=wanted.start)
    try:
        for topic in wanted.topics:
            await client.join(topic.removeprefix("#"))
        runner = Runner(client, _profile(wanted), Ledger(network, wanted.name), tell)
        who = Character(
            wanted.name,
            network.name,
            wanted.persona,
            tools,
            wanted.window,
            wanted.limits,
            wanted.bounds.tool_calls,
        )
        thinker = Thinker(adapter, who, client, desk, runner.book)
        tell(f"{wanted.name} serves {network.name} by {_described(wanted)}")
        await runner.run(thinker, stopping)
    finally:
        await client.close()
        await asyncio.to_thread(desk.close)
        await let_go(wanted.adapter, adapter, tell)


def _offered(name: str) -> str:
    if name not in OFFERED:
        reason = f"an agent cannot have the tool {name!r}, but {', '.join(OFFERED)}"
        raise UsageError(reason=reason)
    return name


def _profile(wanted: Wanted) -> Profile:
    return Profile(
        wanted.name,
        wanted.human,
        wanted.options.model,
        wanted.bounds,
        wanted.together,
        dict(wanted.prices),
        wanted.conversations,
    )


def _described(wanted: Wanted) -> str:
    return " ".join(filter(None, (wanted.adapter, wanted.options.model)))
